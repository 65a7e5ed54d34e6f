/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report: diags for people (with the line and a caret) and for programs (JSON). Any thread. */
#ifndef CTL_CLI_REPORT_H
#define CTL_CLI_REPORT_H

#include "ctl/base/err.h"

#include <jansson.h>
#include <stdio.h>

/* text: the file the places are in, for the source lines; NULL = no source lines. */
void report_diags_text(FILE *out, const struct diags *d, const char *text, size_t len, bool colour);
/* A JSON string of any bytes: what is not UTF-8 is shown escaped. NULL gives null. */
json_t *report_json_text(const char *s);
/* {"schema":1,"errors":[{file,line,col,path,message,hint}],"warnings":[...]}; new reference,
 * NULL when out of memory. */
json_t *report_diags_json(const struct diags *d);

#endif
