/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * proc_text: what /proc says of processes, from text to values. A process gives itself name,
 * arguments and environment: any bytes are safe. Pure.
 */
#ifndef CTL_HOST_PROC_TEXT_H
#define CTL_HOST_PROC_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "socket:[4711]", as the links in /proc/PID/fd say. */
bool proc_text_socket(const char *link, uint32_t *inode);
/* The parent in /proc/PID/stat; 0 = none is told. */
int proc_text_parent(const char *stat);
/* A line of /proc/PID/status: real, effective, saved and file system uid. False: another line. */
bool proc_text_uids(const char *line, unsigned long uids[4]);
/* How many uids a line of /proc/PID/uid_map maps; 0: it is none. */
uint32_t proc_text_uid_range(const char *line);
/* "spctl run" of /proc/PID/cmdline: the program's base name and its first argument, where that is
 * a word; "?" where there is none. Escaped. Returns out. */
const char *proc_text_command(const char *args, size_t len, char *out, size_t cap);

#endif
