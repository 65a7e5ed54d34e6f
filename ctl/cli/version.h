/* SPDX-License-Identifier: GPL-2.0-or-later */
/* version: the one place where it is written. */
#ifndef CTL_CLI_VERSION_H
#define CTL_CLI_VERSION_H

#define SPCTL_VERSION "0.1.0"

#endif
