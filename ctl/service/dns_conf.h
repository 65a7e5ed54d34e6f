/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dns_conf: /etc/resolv.conf and /etc/hosts for a dataplane, which opens no file: the "dns" object
 * of its start message. "unused": servers that cannot be asked; the dataplane does not look at it.
 */
#ifndef CTL_SERVICE_DNS_CONF_H
#define CTL_SERVICE_DNS_CONF_H

#include <jansson.h>

/* resolv.conf(5) as text; hosts may be NULL. New reference; NULL: out of memory. Pure. */
json_t *dns_conf_parse(const char *resolv, const char *hosts);
/* Of this host. What cannot be read counts as empty: then 127.0.0.1 is asked, as libc does. */
json_t *dns_conf_read(void);

#endif
