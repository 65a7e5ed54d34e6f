/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clock: milliseconds. mono and boot never jump; wall is for people and files. */
#ifndef CTL_BASE_CLOCK_H
#define CTL_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);
int64_t clock_wall_ms(void); /* since 1970-01-01 UTC */
int64_t clock_boot_ms(void); /* since the boot, sleep included; nobody sets it */
void clock_sleep_ms(unsigned ms);
/* "2026-11-23T07:30:00Z" into out[24]; returns out. */
const char *clock_format_utc(int64_t wall_ms, char out[24]);

#endif
