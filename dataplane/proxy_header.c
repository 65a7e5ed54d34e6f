/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The header decides who a client is said to be, so nothing about it is guessed: a line of version
 * 1 is taken in the one form that the specification writes down, and a header of version 2 only
 * when everything in it that is read adds up. What is behind LOCAL, and behind families or
 * transports that are unspecified, is skipped unread (2.2): nobody says how long the addresses
 * there are, so there is no telling where TLVs would begin. That goes for their CRC32C, too.
 *
 * There is no state: a header is parsed once it is whole, and until then a call looks at 16 bytes
 * (version 2) or 107 (version 1).
 */
#include "dataplane/proxy_header.h"

#include <stdio.h>
#include <string.h>

#define V1_START      "PROXY "
#define V1_START_LEN  6
#define V2_HEAD	      16
#define V2_VERSION    0x20
#define V2_LOCAL      0x20
#define V2_PROXY      0x21
#define V2_UNIX_BYTES 216

enum { FAMILY_UNSPEC, FAMILY_INET, FAMILY_INET6, FAMILY_UNIX, N_FAMILIES };
enum { TRANSPORT_UNSPEC, TRANSPORT_STREAM, TRANSPORT_DGRAM, N_TRANSPORTS };
enum { TLV_AUTHORITY = 2, TLV_CRC32C = 3, TLV_UNIQUE_ID = 5 };

static const uint8_t v2_signature[12] = "\r\n\r\n\0\r\nQUIT\n";
static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

static unsigned number_16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* How far the bytes go along with a start. */
static enum sniff start_sniff(const uint8_t *bytes, size_t n, const void *start, size_t len)
{
	if (memcmp(bytes, start, n < len ? n : len))
		return SNIFF_NO;
	return n < len ? SNIFF_MORE : SNIFF_YES;
}

/* ---- version 1 (2.1) ---- */

static bool port_parse(const char *text, uint16_t *port)
{
	unsigned v = 0;

	if (!*text || strlen(text) > 5 || (text[0] == '0' && text[1]))
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		v = v * 10 + (unsigned)(*text - '0');
	}
	*port = (uint16_t)v;
	return v <= UINT16_MAX;
}

/* addr_parse() makes IPv4 of a mapped address; the line is about how it is written. */
static bool address_parse(const char *text, bool v6, struct addr *a)
{
	return !strchr(text, ':') == !v6 && addr_parse(text, a);
}

/* "10.0.0.1 10.0.0.2 1000 443": one space between two. */
static const char *v1_fields(struct proxy_header *h, char *rest, bool v6)
{
	char *field[4];

	for (int i = 0; i < 4; i++)
		field[i] = strsep(&rest, " ");
	if (!field[3] || rest)
		return "its line has not two addresses and two ports";
	if (!address_parse(field[0], v6, &h->source))
		return "its source address is none of its family";
	if (!address_parse(field[1], v6, &h->destination))
		return "its destination address is none of its family";
	if (!port_parse(field[2], &h->source_port))
		return "its source port is no number from 0 to 65535";
	if (!port_parse(field[3], &h->destination_port))
		return "its destination port is no number from 0 to 65535";
	return NULL;
}

/* Behind UNKNOWN there may be anything. */
static const char *v1_line(struct proxy_header *h, char *line)
{
	const char *family = strsep(&line, " ");

	if (!strcmp(family, "UNKNOWN")) {
		h->local = true;
		return NULL;
	}
	if ((strcmp(family, "TCP4") && strcmp(family, "TCP6")) || !line)
		return "its family is none of TCP4, TCP6, UNKNOWN";
	return v1_fields(h, line, family[3] == '6');
}

static enum sniff v1_read(struct proxy_header *h, const uint8_t *bytes, size_t n, size_t *used)
{
	size_t most = n < PROXY_V1_MAX ? n : PROXY_V1_MAX;
	const uint8_t *end = memmem(bytes, most, "\r\n", 2);
	char line[PROXY_V1_MAX];
	size_t len;

	if (!end && n < PROXY_V1_MAX)
		return SNIFF_MORE;
	if (!end) {
		h->why = "its line does not end within 107 bytes";
		return SNIFF_BAD;
	}
	len = (size_t)(end - bytes) - V1_START_LEN;
	memcpy(line, bytes + V1_START_LEN, len);
	line[len] = '\0';
	h->version = 1;
	h->why = v1_line(h, line);
	/* A NUL would hide what is behind it. */
	if (!h->why && !h->local && memchr(bytes, 0, V1_START_LEN + len))
		h->why = "its line has a NUL";
	if (h->why)
		return SNIFF_BAD;
	*used = (size_t)(end - bytes) + 2;
	return SNIFF_YES;
}

/* ---- version 2 (2.2) ---- */

/* CRC32C (RFC 4960 appendix B), bit by bit: a header is short, and few have it. */
static uint32_t crc32c_add(uint32_t crc, const uint8_t *p, size_t n)
{
	for (; n; n--, p++) {
		crc ^= *p;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
	}
	return crc;
}

/* Of the whole header, its own 4 bytes taken as zeroes. */
static const char *crc_check(const uint8_t *header, size_t len, const uint8_t *value)
{
	static const uint8_t zeroes[4];
	uint32_t crc = crc32c_add(UINT32_MAX, header, (size_t)(value - header));
	uint32_t want = (uint32_t)number_16(value) << 16 | number_16(value + 2);

	crc = crc32c_add(crc, zeroes, 4);
	crc = ~crc32c_add(crc, value + 4, len - (size_t)(value + 4 - header));
	return crc == want ? NULL : "its checksum is wrong";
}

/* It is logged and sent on as text. */
static const char *authority_read(struct proxy_header *h, const uint8_t *value, size_t n)
{
	if (n >= sizeof(h->authority))
		return "its authority is longer than 255 bytes";
	for (size_t i = 0; i < n; i++)
		if (value[i] <= ' ' || value[i] == 0x7f)
			return "its authority has a control character or a blank";
	memcpy(h->authority, value, n);
	h->authority[n] = '\0';
	return NULL;
}

static const char *unique_id_read(struct proxy_header *h, const uint8_t *value, size_t n)
{
	if (n > PROXY_UNIQUE_MAX)
		return "its unique id is longer than 128 bytes";
	memcpy(h->unique_id, value, n);
	h->unique_id_bytes = n;
	return NULL;
}

struct tlv {
	unsigned type;
	const uint8_t *value;
	size_t len;
};

/* seen: a bit for each type that may be there once only; two of them could be read in two ways. */
static const char *tlv_read(struct proxy_header *h, const struct tlv *t, const uint8_t *header,
			    size_t len, unsigned *seen)
{
	if (t->type != TLV_AUTHORITY && t->type != TLV_CRC32C && t->type != TLV_UNIQUE_ID)
		return NULL;
	if (*seen & 1U << t->type)
		return "it has two authorities, checksums or unique ids";
	*seen |= 1U << t->type;
	if (t->type == TLV_AUTHORITY)
		return authority_read(h, t->value, t->len);
	if (t->type == TLV_UNIQUE_ID)
		return unique_id_read(h, t->value, t->len);
	return t->len == 4 ? crc_check(header, len, t->value) : "its checksum has not 4 bytes";
}

static const char *tlvs_read(struct proxy_header *h, const uint8_t *header, size_t len, size_t at)
{
	unsigned seen = 0;

	while (at < len) {
		struct tlv t;
		const char *why;

		if (len - at < 3 || len - at - 3 < number_16(header + at + 1))
			return "the lengths of its TLVs do not add up";
		t = (struct tlv){ header[at], header + at + 3, number_16(header + at + 1) };
		why = tlv_read(h, &t, header, len, &seen);
		if (why)
			return why;
		at += 3 + t.len;
	}
	return NULL;
}

static struct addr address_read(const uint8_t *p, unsigned bytes)
{
	struct addr a = { .family = bytes == 4 ? ADDR_V4 : ADDR_V6 };

	if (bytes == 16 && !memcmp(p, mapped_prefix, sizeof(mapped_prefix))) {
		a.family = ADDR_V4;
		p += sizeof(mapped_prefix);
	}
	memcpy(a.bytes, p, addr_len(&a));
	return a;
}

static void addresses_read(struct proxy_header *h, const uint8_t *p, unsigned bytes)
{
	h->source = address_read(p, bytes);
	h->destination = address_read(p + bytes, bytes);
	h->source_port = (uint16_t)number_16(p + 2 * bytes);
	h->destination_port = (uint16_t)number_16(p + 2 * bytes + 2);
}

static const char *v2_block(struct proxy_header *h, const uint8_t *header, size_t len)
{
	static const size_t sizes[N_FAMILIES] = { 0, 12, 36, V2_UNIX_BYTES };
	unsigned family = header[13] >> 4, transport = header[13] & 0xf;

	h->local = header[12] == V2_LOCAL;
	if (h->local)
		return NULL;
	if (family >= N_FAMILIES || transport >= N_TRANSPORTS)
		return "its family or transport is unknown";
	h->local = family == FAMILY_UNSPEC || transport == TRANSPORT_UNSPEC;
	if (h->local)
		return NULL;
	if (len - V2_HEAD < sizes[family])
		return "it is too short for its addresses";
	h->local = family == FAMILY_UNIX;
	if (!h->local)
		addresses_read(h, header + V2_HEAD, family == FAMILY_INET ? 4 : 16);
	return tlvs_read(h, header, len, V2_HEAD + sizes[family]);
}

/* Each byte of the head counts as soon as it is there. */
static enum sniff v2_read(struct proxy_header *h, const uint8_t *bytes, size_t n, size_t *used)
{
	size_t len;

	if (n > 12 && (bytes[12] & 0xf0) != V2_VERSION)
		h->why = "its version is not 2";
	else if (n > 12 && bytes[12] != V2_LOCAL && bytes[12] != V2_PROXY)
		h->why = "its command is neither LOCAL nor PROXY";
	if (h->why)
		return SNIFF_BAD;
	if (n < V2_HEAD)
		return SNIFF_MORE;
	len = V2_HEAD + number_16(bytes + 14);
	if (len > PROXY_V2_MAX)
		h->why = "it is longer than 4096 bytes";
	else if (n < len)
		return SNIFF_MORE;
	else
		h->why = v2_block(h, bytes, len);
	if (h->why)
		return SNIFF_BAD;
	h->version = 2;
	*used = len;
	return SNIFF_YES;
}

enum sniff proxy_header_read(struct proxy_header *h, const uint8_t *bytes, size_t n, size_t *used)
{
	enum sniff v1 = start_sniff(bytes, n, V1_START, V1_START_LEN);
	enum sniff v2 = start_sniff(bytes, n, v2_signature, sizeof(v2_signature));

	*h = (struct proxy_header){ 0 };
	if (v1 == SNIFF_YES)
		return v1_read(h, bytes, n, used);
	if (v2 == SNIFF_YES)
		return v2_read(h, bytes, n, used);
	return v1 == SNIFF_MORE || v2 == SNIFF_MORE ? SNIFF_MORE : SNIFF_NO;
}

/* ---- writing ---- */

static bool has_addresses(const struct proxy_header *h)
{
	return !h->local && h->source.family != ADDR_NONE && h->destination.family != ADDR_NONE;
}

static bool is_v4(const struct proxy_header *h)
{
	return h->source.family == ADDR_V4 && h->destination.family == ADDR_V4;
}

/* The bytes as IPv6, mapped where they are not. */
static void address_map(const struct addr *a, uint8_t out[16])
{
	size_t at = a->family == ADDR_V4 ? sizeof(mapped_prefix) : 0;

	memcpy(out, mapped_prefix, at);
	memcpy(out + at, a->bytes, 16 - at);
}

/* Only its own notation can tell a mapped address from IPv4. */
static void address_write_v1(const struct addr *a, bool v6, char out[ADDR_TEXT])
{
	struct addr mapped = { .family = ADDR_V6 };

	address_map(a, mapped.bytes);
	addr_format(v6 ? &mapped : a, out);
}

static size_t v1_write(const struct proxy_header *h, uint8_t *out, size_t cap)
{
	char source[ADDR_TEXT], destination[ADDR_TEXT], line[PROXY_V1_MAX + 1];
	bool v6 = !is_v4(h);
	int n = snprintf(line, sizeof(line), "PROXY UNKNOWN\r\n");

	if (has_addresses(h)) {
		address_write_v1(&h->source, v6, source);
		address_write_v1(&h->destination, v6, destination);
		n = snprintf(line, sizeof(line), "PROXY TCP%d %s %s %u %u\r\n", v6 ? 6 : 4, source,
			     destination, h->source_port, h->destination_port);
	}
	if ((size_t)n > cap)
		return 0;
	memcpy(out, line, (size_t)n);
	return (size_t)n;
}

static uint8_t *bytes_put(uint8_t *p, const void *bytes, size_t n)
{
	memcpy(p, bytes, n);
	return p + n;
}

static uint8_t *number_put(uint8_t *p, size_t v)
{
	*p++ = (uint8_t)(v >> 8);
	*p++ = (uint8_t)v;
	return p;
}

static uint8_t *addresses_put(uint8_t *p, const struct proxy_header *h)
{
	uint8_t six[16];

	if (is_v4(h)) {
		p = bytes_put(p, h->source.bytes, 4);
		p = bytes_put(p, h->destination.bytes, 4);
	} else {
		address_map(&h->source, six);
		p = bytes_put(p, six, 16);
		address_map(&h->destination, six);
		p = bytes_put(p, six, 16);
	}
	return number_put(number_put(p, h->source_port), h->destination_port);
}

static uint8_t *tlv_put(uint8_t *p, uint8_t type, const void *value, size_t n)
{
	if (!n)
		return p;
	*p++ = type;
	return bytes_put(number_put(p, n), value, n);
}

static size_t v2_write(const struct proxy_header *h, uint8_t *out, size_t cap)
{
	uint8_t header[PROXY_WRITE_MAX] = { 0 }, *p = header + V2_HEAD;
	size_t len;

	memcpy(header, v2_signature, sizeof(v2_signature));
	header[12] = V2_LOCAL;
	if (has_addresses(h)) {
		header[12] = V2_PROXY;
		header[13] =
			(uint8_t)((is_v4(h) ? FAMILY_INET : FAMILY_INET6) << 4 | TRANSPORT_STREAM);
		p = addresses_put(p, h);
		p = tlv_put(p, TLV_AUTHORITY, h->authority, strlen(h->authority));
		p = tlv_put(p, TLV_UNIQUE_ID, h->unique_id, h->unique_id_bytes);
	}
	len = (size_t)(p - header);
	number_put(header + 14, len - V2_HEAD);
	if (len > cap)
		return 0;
	memcpy(out, header, len);
	return len;
}

size_t proxy_header_write(const struct proxy_header *h, uint8_t *out, size_t cap)
{
	return h->version == 1 ? v1_write(h, out, cap) : v2_write(h, out, cap);
}
