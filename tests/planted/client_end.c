/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spctl that leaves out the last client of a range of clients. */
#define PLANTED_KEY(type) ((type) != RS_TYPE_PORT)
#include "tests/planted/interval_end.h"

#include "ctl/nft/ruleset_compile_cell.c" /* takes the place of the library's */
