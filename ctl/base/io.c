/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/base/clock.h"

#define LOCK_TRIES 3000 /* of a millisecond: a stopped process may hold a shared one */

bool io_is_writable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 0) == 1;
}

int io_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

ssize_t io_read_all(int fd, void *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (char *)data + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static int read_into(int fd, const char *path, size_t max_bytes, struct buf *out, struct err *e)
{
	buf_reset(out);
	for (;;) {
		char *p = buf_reserve(out, 65536);
		ssize_t n;

		if (!p)
			return err_set(e, ENOMEM, "out of memory while reading %s", path);
		n = io_read_all(fd, p, 65536);
		if (n < 0)
			return err_sys(e, (int)n, "cannot read %s", path);
		out->len += (size_t)n;
		out->data[out->len] = '\0';
		if (out->len > max_bytes)
			return err_set(e, EFBIG, "%s is larger than %zu MiB", path,
				       max_bytes >> 20);
		if (n < 65536)
			return 0;
	}
}

static int read_any(const char *path, size_t max_bytes, struct buf *out, struct err *e)
{
	struct stat st;
	int fd, rc;

	if (!strcmp(path, "-"))
		return read_into(STDIN_FILENO, "standard input", max_bytes, out, e);
	/* O_NONBLOCK: a FIFO or device without a writer must not hang us. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return err_sys(e, errno, "cannot open %s", path);
	if (fstat(fd, &st) < 0)
		rc = err_sys(e, errno, "cannot stat %s", path);
	else if (S_ISDIR(st.st_mode))
		rc = err_set(e, EISDIR, "%s is a directory, not a file", path);
	else if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		rc = err_set(e, EINVAL, "%s is not a regular file", path);
	else
		rc = 0;
	if (!rc) {
		/* Process substitution gives a pipe: read that one to its end. */
		if (!S_ISREG(st.st_mode))
			fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
		rc = read_into(fd, path, max_bytes, out, e);
	}
	close(fd);
	return rc;
}

int io_read_file(const char *path, size_t max_bytes, struct buf *out, struct err *e)
{
	int rc = read_any(path, max_bytes, out, e);

	if (rc && e)
		e->loc.file = path;
	return rc;
}

int io_read_regular(const char *path, size_t max_bytes, struct buf *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t n;
	char *p;
	int rc = 0;

	if (fd < 0 && errno == ELOOP)
		return err_set(e, ELOOP, "%s is a symbolic link: only a regular file is taken",
			       path);
	if (fd < 0)
		return err_sys(e, errno, "cannot open %s", path);
	buf_reset(out);
	if (fstat(fd, &st) < 0)
		rc = err_sys(e, errno, "cannot stat %s", path);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(e, EINVAL, "%s is not a regular file", path);
	else if ((uintmax_t)st.st_size > max_bytes)
		rc = err_set(e, EFBIG, "%s is larger than %zu bytes", path, max_bytes);
	if (rc)
		goto out;
	p = buf_reserve(out, (size_t)st.st_size + 1);
	n = p ? io_read_all(fd, p, (size_t)st.st_size) : -ENOMEM;
	if (n < 0) {
		rc = err_sys(e, (int)n, "cannot read %s", path);
		goto out;
	}
	out->len = (size_t)n;
	p[n] = '\0';
out:
	close(fd);
	return rc;
}

int io_fsync_dir(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = 0;

	if (fd < 0)
		return err_sys(e, errno, "cannot open %s", path);
	if (fsync(fd) < 0 && errno != EINVAL)
		rc = err_sys(e, errno, "cannot sync %s", path);
	close(fd);
	return rc;
}

static int sync_parent(const char *path, struct err *e)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	return io_fsync_dir(dirname(copy), e);
}

static int write_file(const char *path, const void *data, size_t len, mode_t mode, bool sync,
		      struct err *e)
{
	char temp[PATH_MAX];
	int fd, rc;

	if (snprintf(temp, sizeof(temp), "%s.%d.tmp", path, (int)getpid()) >= (int)sizeof(temp))
		return err_set(e, ENAMETOOLONG, "%s: the path is too long", path);
	unlink(temp);
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return err_sys(e, errno, "cannot create %s", temp);
	rc = io_write_all(fd, data, len);
	if (!rc && sync && fsync(fd) < 0)
		rc = -errno;
	if (close(fd) < 0 && !rc)
		rc = -errno;
	if (!rc && rename(temp, path) < 0)
		rc = -errno;
	if (rc) {
		unlink(temp);
		return err_sys(e, rc, "cannot write %s", path);
	}
	return sync ? sync_parent(path, e) : 0;
}

int io_write_file(const char *path, const void *data, size_t len, mode_t mode, struct err *e)
{
	return write_file(path, data, len, mode, true, e);
}

int io_write_file_fast(const char *path, const void *data, size_t len, mode_t mode, struct err *e)
{
	return write_file(path, data, len, mode, false, e);
}

int io_mkdirs(const char *path, mode_t mode, struct err *e)
{
	char copy[PATH_MAX];

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
		return err_set(e, ENAMETOOLONG, "%s: the path is too long", path);
	for (char *p = copy + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return err_sys(e, errno, "cannot make directory %s", copy);
		*p = '/';
	}
	if (mkdir(copy, mode) < 0 && errno != EEXIST)
		return err_sys(e, errno, "cannot make directory %s", copy);
	return 0;
}

int io_read_text(const char *path, char *out, size_t cap, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return err_sys(e, errno, "cannot open %s", path);
	n = io_read_all(fd, out, cap - 1);
	close(fd);
	if (n < 0)
		return err_sys(e, (int)n, "cannot read %s", path);
	while (n && (out[n - 1] == '\n' || out[n - 1] == ' '))
		n--;
	out[n] = '\0';
	return 0;
}

int io_write_text(const char *path, const char *text, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return err_sys(e, errno, "cannot open %s", path);
	rc = io_write_all(fd, text, strlen(text));
	if (close(fd) < 0 && !rc)
		rc = -errno;
	return rc ? err_sys(e, rc, "cannot write \"%s\" to %s", text, path) : 0;
}

int io_lock(int fd)
{
	for (unsigned tries = 0; tries < LOCK_TRIES; tries++) {
		if (!flock(fd, LOCK_EX | LOCK_NB))
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK || flock(fd, LOCK_SH | LOCK_NB))
			return -errno;
		/* Only shared ones: they are gone in a moment. */
		flock(fd, LOCK_UN);
		clock_sleep_ms(1);
	}
	return -EWOULDBLOCK;
}

bool io_is_locked(int fd)
{
	bool locked = flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK;

	if (!locked)
		flock(fd, LOCK_UN);
	return locked;
}
