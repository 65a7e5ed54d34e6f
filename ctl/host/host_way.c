/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/host/host_way.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "ctl/host/host_netlink.h"

static int way_message(const struct nlmsghdr *h, void *arg)
{
	struct host_way *out = arg;
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;

	if (h->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(h) < sizeof(*m))
		return MNL_CB_OK;
	mnl_attr_for_each (a, h, sizeof(*m)) {
		unsigned len = m->rtm_family == AF_INET ? 4 : 16;

		if (mnl_attr_get_type(a) == RTA_OIF && mnl_attr_validate(a, MNL_TYPE_U32) >= 0) {
			out->oif = mnl_attr_get_u32(a);
		} else if (mnl_attr_get_type(a) == RTA_PREFSRC &&
			   mnl_attr_get_payload_len(a) == len) {
			out->source.family = len == 4 ? ADDR_V4 : ADDR_V6;
			memcpy(out->source.bytes, mnl_attr_get_payload(a), len);
		}
	}
	return MNL_CB_OK;
}

int host_way_find(const struct addr *to, struct host_way *out)
{
	_Alignas(8) uint8_t request[128] = { 0 };
	struct nlmsghdr *h = mnl_nlmsg_put_header(request);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	struct mnl_socket *nl = host_netlink_open(NETLINK_ROUTE);
	struct host_way way = { 0 };
	int rc;

	if (!nl)
		return -errno;
	h->nlmsg_type = RTM_GETROUTE;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK; /* the ack ends the answer, as that of a dump */
	m->rtm_family = to->family == ADDR_V4 ? AF_INET : AF_INET6;
	m->rtm_dst_len = (uint8_t)(8 * addr_len(to));
	mnl_attr_put(h, RTA_DST, addr_len(to), to->bytes);
	rc = host_dump(nl, h, way_message, &way);
	mnl_socket_close(nl);
	if (!rc)
		*out = way;
	return rc;
}
