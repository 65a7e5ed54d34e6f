/* SPDX-License-Identifier: GPL-2.0-or-later */
/* schema: the key table for others: JSON Schema for editors, roff for the manual. Any thread. */
#ifndef CTL_CONFIG_SCHEMA_H
#define CTL_CONFIG_SCHEMA_H

#include "ctl/base/buf.h"

/* JSON Schema (draft 2020-12) of the route file. 0 or -ENOMEM. */
int schema_write_json(struct buf *out);
/* The key reference of spctl-routes(5): stands for the line @KEYS@ of its source. */
void schema_write_man(struct buf *out);

#endif
