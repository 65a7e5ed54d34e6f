/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/state/state_confirm.h"

#include <string.h>

static const char *const phases[] = {
	[STATE_CONFIRM_WAITING] = "waiting",
	[STATE_CONFIRM_TAKEN_BACK] = "takenBack",
	[STATE_CONFIRM_GIVEN] = "confirmed",
};

#define N_PHASES (sizeof(phases) / sizeof(*phases))

json_t *state_confirm_format(const struct state_confirm *c)
{
	if (c->phase == STATE_CONFIRM_NONE)
		return NULL;
	return json_pack("{s:s, s:I, s:I, s:s, s:I}", "phase", phases[c->phase], "previous",
			 (json_int_t)c->previous, "deadlineMs", (json_int_t)c->deadline_ms, "boot",
			 c->boot, "decidedMs", (json_int_t)c->decided_ms);
}

static bool phase_parse(const char *text, enum state_confirm_phase *out)
{
	for (size_t i = STATE_CONFIRM_WAITING; i < N_PHASES; i++) {
		if (strcmp(phases[i], text))
			continue;
		*out = (enum state_confirm_phase)i;
		return true;
	}
	return false;
}

bool state_confirm_parse(json_t *j, uint32_t generation, struct state_confirm *out)
{
	json_int_t previous, deadline_ms, decided_ms;
	struct state_confirm c = { 0 };
	const char *phase, *boot;
	json_error_t where;

	*out = c;
	if (!j)
		return true;
	if (json_unpack_ex(j, &where, JSON_STRICT, "{s:s, s:I, s:I, s:s, s:I}", "phase", &phase,
			   "previous", &previous, "deadlineMs", &deadline_ms, "boot", &boot,
			   "decidedMs", &decided_ms) < 0)
		return false;
	if (!phase_parse(phase, &c.phase) || previous < 0 || previous >= generation ||
	    deadline_ms < 0 || decided_ms < 0 || !*boot || strlen(boot) >= sizeof(c.boot))
		return false;
	c.previous = (uint32_t)previous;
	c.deadline_ms = deadline_ms;
	c.decided_ms = decided_ms;
	memcpy(c.boot, boot, strlen(boot) + 1);
	*out = c;
	return true;
}

bool state_confirm_is_open(const struct state_confirm *c)
{
	return c->phase == STATE_CONFIRM_WAITING || c->phase == STATE_CONFIRM_TAKEN_BACK;
}

bool state_confirm_was_given(const struct state_confirm *c)
{
	return c->phase == STATE_CONFIRM_NONE || c->phase == STATE_CONFIRM_GIVEN;
}

int64_t state_confirm_left_ms(const struct state_confirm *c, const char *boot, int64_t now_ms)
{
	if (c->phase != STATE_CONFIRM_WAITING || strcmp(c->boot, boot) != 0 ||
	    now_ms >= c->deadline_ms)
		return 0;
	return c->deadline_ms - now_ms;
}
