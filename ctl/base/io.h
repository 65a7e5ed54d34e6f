/* SPDX-License-Identifier: GPL-2.0-or-later */
/* io: whole files, safely. All descriptors are O_CLOEXEC. */
#ifndef CTL_BASE_IO_H
#define CTL_BASE_IO_H

#include <sys/types.h>

#include "ctl/base/buf.h"

/* Reads a file (or "-": stdin) of at most max_bytes into out. Directories, and
 * what is larger, are errors whose sentence and place name the path (borrowed). */
int io_read_file(const char *path, size_t max_bytes, struct buf *out, struct err *e);
/* A file of our own: never through a symbolic link, never anything but a regular file.
 * -ENOENT when there is none. */
int io_read_regular(const char *path, size_t max_bytes, struct buf *out, struct err *e);
/* temp + write + fsync + rename + fsync(dir): afterwards path is old or new, never half. */
int io_write_file(const char *path, const void *data, size_t len, mode_t mode, struct err *e);
/* Same without the two fsync: for files that need not survive a power loss. */
int io_write_file_fast(const char *path, const void *data, size_t len, mode_t mode, struct err *e);
/* Would a short write() go through at once? Not to a stopped terminal or a full pipe. */
bool io_is_writable(int fd);
int io_write_all(int fd, const void *data, size_t len);	     /* 0 or -errno; repeats on EINTR */
ssize_t io_read_all(int fd, void *data, size_t len);	     /* bytes until EOF or len, or -errno */
int io_mkdirs(const char *path, mode_t mode, struct err *e); /* mkdir -p */
/* An exclusive flock, at once: -EWOULDBLOCK while another has one. Whoever asks io_is_locked() just
 * then is no other: that takes a shared one for a moment. */
int io_lock(int fd);
bool io_is_locked(int fd);
int io_fsync_dir(const char *path, struct err *e);
/* One small text value such as a sysctl: trailing newline cut. */
int io_read_text(const char *path, char *out, size_t cap, struct err *e);
int io_write_text(const char *path, const char *text, struct err *e);

#endif
