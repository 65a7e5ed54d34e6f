/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two steps. Records are counted as they come, each byte once: that says whether the bytes can be a
 * hello at all, and when its message is whole. Then the message is read, once, where it lies: a
 * cursor steps over the record headers in it, so that nothing is copied and a hello cut into
 * records of one byte is the same as one in a single record.
 *
 * Rejected: to read the extensions as they come. A name that is known early is worth nothing when a
 * later byte can make the hello a broken one, and the reader would be a state machine.
 *
 * Invariant: every check stands at a place in the stream, not in a call. However the stream grows,
 * the first check that fails is the same one.
 */
#include "dataplane/hello.h"

#include <string.h>

#include "ctl/base/addr.h"

#define RECORD_HEADER	  5
#define RECORD_MAX	  (1 << 14) /* RFC 8446 5.1 */
#define RECORD_ALERT	  21
#define RECORD_HANDSHAKE  22
#define MESSAGE_HEADER	  4
#define TYPE_CLIENT_HELLO 1
#define NAME_TYPE_HOST	  0
#define LABEL_MAX	  63

enum {
	EXT_SERVER_NAME = 0,
	EXT_ALPN = 16,
	EXT_SUPPORTED_VERSIONS = 43,
	EXT_ENCRYPTED_CLIENT_HELLO = 0xfe0d, /* RFC 9849 */
};

static enum sniff hello_bad(struct hello *h, const char *why)
{
	h->why = why;
	return SNIFF_BAD;
}

/* ---- a cursor in the message ---- */

/* `left` bytes of a message or a vector of it from bytes[at], where a record ends at record_end.
 * The caller has made sure that they are all there. */
struct cursor {
	const uint8_t *bytes;
	size_t at, record_end, left;
	bool bad; /* more was asked for than there is; stays */
};

static void cursor_enter_record(struct cursor *c)
{
	const uint8_t *header = c->bytes + c->at;

	if (c->at < c->record_end)
		return;
	c->at += RECORD_HEADER;
	c->record_end = c->at + ((size_t)header[3] << 8 | header[4]);
}

static void cursor_copy(struct cursor *c, uint8_t *out, size_t n)
{
	if (n > c->left) {
		c->bad = true;
		n = c->left;
	}
	while (n) {
		size_t part;

		cursor_enter_record(c);
		part = c->record_end - c->at < n ? c->record_end - c->at : n;
		if (out) {
			memcpy(out, c->bytes + c->at, part);
			out += part;
		}
		c->at += part;
		c->left -= part;
		n -= part;
	}
}

/* Big endian; 0 when it is not there. */
static unsigned cursor_number(struct cursor *c, unsigned bytes)
{
	uint8_t b[3] = { 0 };
	unsigned v = 0;

	cursor_copy(c, b, bytes);
	for (unsigned i = 0; i < bytes; i++)
		v = v << 8 | b[i];
	return c->bad ? 0 : v;
}

/* What follows its own length of `bytes` bytes. Its `bad` is the cursor's. */
static struct cursor cursor_vector(struct cursor *c, unsigned bytes)
{
	size_t n = cursor_number(c, bytes);
	struct cursor v = *c;

	cursor_copy(c, NULL, n);
	v.bad = c->bad;
	v.left = c->bad ? 0 : n;
	return v;
}

/* ---- extensions ---- */

static bool is_host_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Labels of 1 to 63 bytes with dots between them; lower case. */
static bool is_host_name(const char *name)
{
	size_t label = 0;

	for (const char *p = name; *p; p++) {
		if (*p == '.' ? !label : !is_host_byte(*p))
			return false;
		label = *p == '.' ? 0 : label + 1;
		if (label > LABEL_MAX)
			return false;
	}
	return label;
}

static const char *name_read(struct hello *h, struct cursor *name)
{
	size_t n = name->left;
	struct addr literal;

	if (n > HELLO_NAME_MAX)
		return "the server name is longer than 255 bytes";
	cursor_copy(name, (uint8_t *)h->name, n);
	if (n && h->name[n - 1] == '.')
		n--;
	h->name[n] = '\0';
	for (size_t i = 0; i < n; i++)
		h->name[i] = lower(h->name[i]);
	if (strlen(h->name) != n || !is_host_name(h->name))
		return "the server name is no host name";
	if (addr_parse(h->name, &literal))
		return "the server name is an address";
	return NULL;
}

/* RFC 6066 3. Other types of names were never made, and TLS libraries take none either. */
static const char *server_name_read(struct hello *h, struct cursor *ext)
{
	struct cursor list = cursor_vector(ext, 2), name;
	unsigned type = cursor_number(&list, 1);

	name = cursor_vector(&list, 2);
	if (ext->left || list.bad)
		return "the lengths in its server_name do not add up";
	if (type != NAME_TYPE_HOST)
		return "a server name is of an unknown type";
	if (list.left)
		return "there are several server names";
	return name_read(h, &name);
}

/* "h2" of the names that text can hold; the first that does not fit ends the list. */
static bool alpn_add(struct hello *h, const uint8_t *name, size_t n)
{
	size_t have = strlen(h->alpn);

	for (size_t i = 0; i < n; i++)
		if (name[i] <= ' ' || name[i] > '~' || name[i] == ',')
			return true;
	if (have + (have > 0) + n >= sizeof(h->alpn))
		return false;
	if (have)
		h->alpn[have++] = ',';
	memcpy(h->alpn + have, name, n);
	h->alpn[have + n] = '\0';
	return true;
}

/* RFC 7301 3.1 */
static const char *alpn_read(struct hello *h, struct cursor *ext)
{
	struct cursor list = cursor_vector(ext, 2);
	bool fits = true, empty = !list.left;

	while (list.left) {
		struct cursor name = cursor_vector(&list, 1);
		uint8_t text[255];
		size_t n = name.left;

		empty |= !n;
		cursor_copy(&name, text, n);
		fits = fits && alpn_add(h, text, n);
	}
	if (ext->left || list.bad || empty)
		return "the lengths in its list of protocols do not add up";
	h->has_alpn = true;
	return NULL;
}

/* RFC 8446 4.2.1: legacy_version means nothing beside it. Major 3 leaves out GREASE (RFC 8701)
 * and drafts. */
static const char *versions_read(struct hello *h, struct cursor *ext)
{
	struct cursor list = cursor_vector(ext, 1);

	h->max_version = 0;
	if (ext->left || list.bad || !list.left || list.left % 2)
		return "the lengths in its list of versions do not add up";
	while (list.left) {
		unsigned version = cursor_number(&list, 2);

		if (version >> 8 == 3 && version > h->max_version)
			h->max_version = (uint16_t)version;
	}
	return NULL;
}

static const char *extension_read(struct hello *h, unsigned type, struct cursor *ext)
{
	switch (type) {
	case EXT_SERVER_NAME:
		return server_name_read(h, ext);
	case EXT_ALPN:
		return alpn_read(h, ext);
	case EXT_SUPPORTED_VERSIONS:
		return versions_read(h, ext);
	case EXT_ENCRYPTED_CLIENT_HELLO:
		h->has_ech = true;
		return NULL;
	default:
		return NULL;
	}
}

/* RFC 8446 4.2: of each type there is one. A bit for every type keeps it linear. */
static const char *extensions_read(struct hello *h, struct cursor *list)
{
	uint64_t seen[1 << 10] = { 0 };

	while (list->left) {
		unsigned type = cursor_number(list, 2);
		struct cursor ext = cursor_vector(list, 2);
		const char *why;

		if (list->bad)
			return "the lengths of its extensions do not add up";
		if (seen[type / 64] & UINT64_C(1) << type % 64)
			return "an extension is there twice";
		seen[type / 64] |= UINT64_C(1) << type % 64;
		why = extension_read(h, type, &ext);
		if (why)
			return why;
	}
	return NULL;
}

/* ---- the message ---- */

/* RFC 8446 4.1.2; up to TLS 1.2 the extensions may be missing altogether. */
static const char *message_read(struct hello *h, struct cursor *c)
{
	unsigned version = cursor_number(c, 2);
	struct cursor session, ciphers, compressions, extensions;

	cursor_copy(c, NULL, 32);
	session = cursor_vector(c, 1);
	ciphers = cursor_vector(c, 2);
	compressions = cursor_vector(c, 1);
	if (c->bad || session.left > 32 || !ciphers.left || ciphers.left % 2 || !compressions.left)
		return "the lengths before its extensions do not add up";
	if (version >> 8 != 3)
		return "its version is none of TLS";
	/* Without supported_versions there is no TLS 1.3 (RFC 8446 4.2.1). */
	h->max_version = (uint16_t)(version > 0x0303 ? 0x0303 : version);
	if (!c->left)
		return NULL;
	extensions = cursor_vector(c, 2);
	if (c->bad || c->left)
		return "the lengths of its extensions do not add up";
	return extensions_read(h, &extensions);
}

static enum sniff hello_read(struct hello *h, const uint8_t *bytes, size_t message_bytes)
{
	struct cursor c = { .bytes = bytes, .left = message_bytes };

	h->name[0] = h->alpn[0] = '\0';
	h->has_ech = h->has_alpn = false;
	h->max_version = 0;
	cursor_copy(&c, NULL, MESSAGE_HEADER);
	h->why = message_read(h, &c);
	return h->why ? SNIFF_BAD : SNIFF_YES;
}

/* ---- records ---- */

/* SNIFF_YES: the header of the next record is read. What is no hello shows in the first record. */
static enum sniff record_enter(struct hello *h, const uint8_t *bytes, size_t n)
{
	struct hello_progress *at = &h->progress;
	const uint8_t *header = bytes + at->at;
	size_t left = n - at->at, len;

	if (left >= 1 && header[0] != RECORD_HANDSHAKE)
		return at->at ? hello_bad(h, "a record of another type is inside of it") : SNIFF_NO;
	if (left >= 2 && header[1] != 3)
		return at->at ? hello_bad(h, "a record inside of it is none of TLS") : SNIFF_NO;
	if (left < RECORD_HEADER)
		return SNIFF_MORE;
	len = (size_t)header[3] << 8 | header[4];
	if (!len)
		return hello_bad(h, "a record is empty");
	if (len > RECORD_MAX)
		return hello_bad(h, "a record is longer than 16384 bytes");
	at->at += RECORD_HEADER;
	at->record_end = at->at + len;
	at->in_record = true;
	return SNIFF_YES;
}

static void record_advance(struct hello_progress *at, size_t n)
{
	size_t part = (at->record_end < n ? at->record_end : n) - at->at;

	at->at += part;
	at->message_bytes += part;
	at->in_record = at->at < at->record_end;
}

/* The message with its header; as long as that is not there, the least there can be. */
static size_t message_size(const struct hello_progress *at, const uint8_t *bytes)
{
	struct cursor c = { .bytes = bytes, .left = MESSAGE_HEADER };

	if (at->message_bytes < MESSAGE_HEADER)
		return MESSAGE_HEADER;
	cursor_number(&c, 1);
	return MESSAGE_HEADER + cursor_number(&c, 3);
}

/* Where it ends at the earliest: the same from byte to byte of a record, also behind its end. */
static size_t hello_end(const struct hello_progress *at, size_t message)
{
	size_t end = at->at + message - at->message_bytes;

	return end > at->record_end ? end + RECORD_HEADER : end;
}

static enum sniff message_check(struct hello *h, const uint8_t *bytes, size_t max_bytes)
{
	const struct hello_progress *at = &h->progress;
	size_t message;

	if (!at->message_bytes)
		return SNIFF_MORE;
	if (bytes[RECORD_HEADER] != TYPE_CLIENT_HELLO)
		return SNIFF_NO;
	message = message_size(at, bytes);
	if (hello_end(at, message) > max_bytes)
		return hello_bad(h, "it is longer than its bound");
	if (at->message_bytes < MESSAGE_HEADER || at->message_bytes < message)
		return SNIFF_MORE;
	return hello_read(h, bytes, message);
}

enum sniff hello_feed(struct hello *h, const uint8_t *bytes, size_t n, size_t max_bytes)
{
	struct hello_progress *at = &h->progress;

	for (;;) {
		enum sniff s = message_check(h, bytes, max_bytes);

		if (s != SNIFF_MORE || at->at >= n)
			return s;
		if (!at->in_record)
			s = record_enter(h, bytes, n);
		if (!at->in_record)
			return s;
		record_advance(at, n);
	}
}

void hello_alert(uint8_t out[HELLO_ALERT_BYTES], uint8_t description)
{
	const uint8_t alert[HELLO_ALERT_BYTES] = { RECORD_ALERT, 3, 3, 0, 2, 2, description };

	memcpy(out, alert, sizeof(alert));
}
