/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spctl in which, of two routes with the same priority, the one for more clients wins. */
#define PLAN_SELFTEST_ORDER
#include "ctl/plan/plan_order.c" /* takes the place of the library's */
