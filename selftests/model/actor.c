// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Callers and their scripts: which programs run, with which request, and what the
 * caller makes of the verdict.
 *
 * A caller may be killed before each program it runs.  It may as well be killed
 * while one runs, but a program that was started runs to its end, so what is left
 * of the caller then is its silence: the same as being killed after it.
 *
 * After BUSY it tries again as a plugin does: scenario.retries times whenever it
 * likes, then once nobody else is inside a program, undisturbed.  Still BUSY then
 * is a broken rule: there is nobody to wait for.  After MOVING it opens `current`
 * again, once that has changed.
 */
#include "selftests/model/model.h"

#include <string.h>

#include "bpf/request.h"

const struct op *actor_op(unsigned int actor)
{
	return &scenario->actor[actor].op[now->actor[actor].op];
}

static bool is_done(unsigned int actor)
{
	return actor_op(actor)->verb == OP_END;
}

/* --- Requests --------------------------------------------------------------------- */

uint64_t address_key(unsigned int address)
{
	return KEY_ADDRESS + address;
}

/* The one request that is alive at a time: the running actor's. */
struct ipamd_request *request_new(enum ipamd_verb verb)
{
	static struct ipamd_request req;
	const struct op *op = actor_op(run.actor);

	request_init(&req, verb);
	req.who.id = key_digest(KEY_ATTACHMENT + op->who);
	req.who.start_ns = self()->start;
	if (op->workload)
		req.workload = key_digest(KEY_WORKLOAD);
	return &req;
}

static struct ipamd_request *last_request;

static int run_program(const struct op *op)
{
	struct ipamd_request *req;

	switch (op->verb) {
	case OP_ADD:
		req = request_new(IPAMD_CLAIM);
		if (op->address)
			req->want[IPAMD_V4] = key_digest((unsigned int)address_key(op->address));
		break;
	case OP_DEL:
		req = request_new(IPAMD_RELEASE);
		break;
	default:
		return manager_run(op);
	}
	last_request = req;
	return product_run(req->verb, req);
}

/* --- One run ------------------------------------------------------------------------ */

static void forget(struct actor *a)
{
	memset(a->tag, 0, sizeof(a->tag));
	memset(a->log, 0, sizeof(a->log));
	a->logged = a->next = a->in_step = 0;
}

static void go_on(struct actor *a)
{
	a->op++;
	a->retries = a->start = a->begin_tick = a->begin_failed = 0;
	a->phase = is_done(run.actor) ? DONE : IDLE;
}

static bool is_ask(const struct op *op)
{
	return op->verb == OP_ADD || op->verb == OP_DEL;
}

/* What the caller makes of it. */
static void end(int verdict)
{
	struct actor *a = self();
	const struct op *op = actor_op(run.actor);
	bool in_vain = now->alone && now->failed == a->begin_failed;

	show("", 0, "%s: %s", show_op(op, a->start), show_verdict(verdict));
	rule_end(op, a->start, verdict, last_request);
	forget(a);
	now->alone = 0;
	a->begin_tick = a->begin_failed = 0;
	if (op->verb == OP_MOVE_SLOT && verdict == IPAMD_STALE)
		a->phase = IDLE; /* copies the slot again */
	else if (!is_ask(op) || (verdict != IPAMD_BUSY && verdict != IPAMD_MOVING))
		go_on(a);
	else if (verdict == IPAMD_MOVING)
		a->phase = a->generation == now->current ? MOVING : IDLE;
	else if (in_vain)
		rule_break(RULE_BUSY_ALONE, "%s is BUSY, and nobody else runs",
			   show_op(op, a->start));
	else if (a->retries < scenario->retries)
		a->retries++, a->phase = IDLE;
	else
		a->phase = ALONE;
}

/* Up to one access, and to the end if that was the last. */
static void run_on(void)
{
	if (variable.names)
		memory_show_keys();
	/* Not changed between setjmp and longjmp but in memory that is not ours. */
	if (!setjmp(run.halt))
		end(run_program(actor_op(run.actor)));
}

/* A start that is read from the clock, and `current`, are looked at in a step of their own. */
static bool begins_apart(const struct op *op)
{
	return variable.moving || (is_ask(op) && !op->start);
}

static void begin(void)
{
	struct actor *a = self();
	const struct op *op = actor_op(run.actor);

	if (a->phase == ALONE)
		now->alone = (uint8_t)(run.actor + 1);
	a->phase = RUNNING;
	a->generation = now->current;
	a->begin_tick = now->ticks;
	a->begin_failed = now->failed;
	if (!a->start)
		a->start = op->start || !is_ask(op) ? op->start : ++now->seq;
	rule_begin(op, a->start);
	show("", 0, "begins %s%s", show_op(op, a->start),
	     now->alone ? ", while nobody else runs" : "");
	if (op->verb == OP_DIE)
		go_on(a);
	else if (!begins_apart(op))
		run_on();
}

/* --- What may happen next --------------------------------------------------------------- */

static bool nobody_runs(void)
{
	for (unsigned int i = 0; i < ACTORS; i++)
		if (now->actor[i].phase == RUNNING || now->actor[i].buffered)
			return false;
	return true;
}

static bool may_run(const struct actor *a)
{
	switch (a->phase) {
	case IDLE: /* another process by now, perhaps on another CPU: nothing waits */
		return !a->buffered;
	case RUNNING:
		return !(a->next & NEEDS_DRAIN) || !a->buffered;
	case ALONE:
		return nobody_runs();
	case MOVING:
		return !a->buffered && a->generation != now->current;
	default:
		return false;
	}
}

static bool may_crash(unsigned int actor)
{
	const struct actor *a = &now->actor[actor];

	return now->crashes && scenario->actor[actor].may_crash && a->phase != RUNNING &&
	       a->phase != DONE;
}

static bool may_be_killed(unsigned int actor)
{
	const struct actor *a = &now->actor[actor];

	/* What comes after the commit is another life. */
	return now->kills && scenario->actor[actor].may_die && !a->in_step && !now->current &&
	       (a->phase == RUNNING || a->op) && a->phase != DONE;
}

/*
 * The clock moves on unseen until somebody reads it, so it may wait for one who is
 * about to, or who is about to begin: from when on a cooldown counts.
 */
static bool clock_matters(void)
{
	for (unsigned int i = 0; now->ticks < scenario->ticks && i < ACTORS; i++) {
		const struct actor *a = &now->actor[i];

		if ((search_plain && a->phase != DONE) || (a->phase != RUNNING && may_run(a)) ||
		    (a->phase == RUNNING && a->next & READS_CLOCK))
			return true;
	}
	return false;
}

unsigned int actor_moves(struct move *ret)
{
	unsigned int n = 0;

	for (uint8_t i = 0; i < ACTORS; i++) {
		const struct actor *a = &now->actor[i];

		if (now->alone && now->alone != i + 1)
			continue;
		if (a->buffered)
			ret[n++] = (struct move){MOVE_FLUSH, i, 0};
		if (may_run(a))
			ret[n++] = (struct move){MOVE_RUN, i, 0};
		if (may_crash(i))
			ret[n++] = (struct move){MOVE_CRASH, i, 0};
		if (may_be_killed(i))
			ret[n++] = (struct move){MOVE_KILL, i, 0};
	}
	if (clock_matters())
		ret[n++] = (struct move){MOVE_TICK, 0, 0};
	return n;
}

static void kill_manager(struct actor *a)
{
	now->kills--;
	forget(a);
	a->op = a->begin_tick = 0;
	a->phase = IDLE;
	show("", 0, "is killed, and starts over");
}

/* Which attachments does nobody else come to any more?  The manager comes to all. */
static void look_around(void)
{
	run.private = search_plain ? 0 : (1U << ATTACHMENTS) - 1;
	run.watched = search_plain;
	for (unsigned int i = 0; i < ACTORS; i++) {
		const struct actor *a = &now->actor[i];
		unsigned int first = scenario->actor[i].may_die ? 0 : a->op;

		if (i == run.actor || a->phase == DONE)
			continue;
		for (const struct op *op = &scenario->actor[i].op[first]; op->verb; op++) {
			if (is_ask(op))
				run.private &= (uint8_t) ~(1U << op->who);
			else if (op->verb == OP_LOOK || op->verb >= OP_MOVE_START)
				run.private = 0, run.watched = true;
		}
	}
}

unsigned int actor_do(struct move move)
{
	struct actor *a = &now->actor[move.actor];

	run.actor = move.actor;
	run.pos = 0;
	run.spent = run.fresh = run.delete_failing = false;
	run.choice = move.choice;
	run.choices = 1;
	look_around();
	switch (move.kind) {
	case MOVE_FLUSH:
		buffer_flush(a);
		break;
	case MOVE_CRASH:
		now->crashes--;
		a->phase = DONE;
		show("", 0, "is killed");
		break;
	case MOVE_KILL:
		kill_manager(a);
		break;
	case MOVE_TICK:
		now->ticks++;
		show("", 0, "the clock moves to %llu us",
		     (unsigned long long)(clock_ns(now->ticks) - CLOCK_NS) / 1000);
		break;
	case MOVE_NONE:
		break;
	default:
		if (a->phase == RUNNING)
			run_on();
		else
			begin();
	}
	hash_tidy();
	return run.choices;
}

bool actor_all_done(void)
{
	for (unsigned int i = 0; i < ACTORS; i++)
		if (now->actor[i].phase != DONE || now->actor[i].buffered)
			return false;
	return true;
}
