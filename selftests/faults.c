// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "selftests/faults.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bpf/request.h"
#include "bpf/slot.h"
#include "selftests/harness.h"
#include "selftests/node.h"
#include "selftests/trace.h"
#include "userspace/base/addr.h"
#include "userspace/base/cleanup.h"
#include "userspace/base/clock.h"
#include "userspace/edge/store.h"

enum {
	COOLDOWN_MS = 60000, /* nothing cools down in earnest here */
	DOUBT_MS = 120000,   /* and longer after a lost map */
	HOLDS = 64,
	LIMIT_S = 10,
};

/* --- What was promised ----------------------------------------------------------------- */

/* An answered claim. */
struct hold {
	unsigned int number; /* of its container; 0: this one is not in use */
	const char *pod;
	struct addr address;
	bool passing; /* ends before the next point */
};

/* A release that was answered: not ready before. */
struct rest {
	struct addr address; /* family 0: this one is not in use */
	uint64_t until_ms;
	bool checked;
};

/* A fix, or its end, that was answered. */
struct fixed {
	struct addr address;
	char pod[32];
	bool ended;
};

enum answer { UNKNOWN, YES, NO };

static struct {
	struct hold hold[HOLDS];
	struct rest rest[2 * HOLDS];
	struct fixed fixed[8];
	enum answer drained; /* the pool "second" */
	unsigned int number; /* of the next container */
} book;

static char wrong[4096];

__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...)
{
	size_t n = strlen(wrong);
	va_list args;

	va_start(args, format);
	vsnprintf(wrong + n, sizeof(wrong) - n, format, args);
	va_end(args);
	n = strlen(wrong);
	snprintf(wrong + n, sizeof(wrong) - n, "\n");
}

static uint64_t boot_ms(void)
{
	return slot_now_ms(clock_boot_ns());
}

static const char *text_of(const struct addr *a)
{
	static char text[ADDR_TEXT];

	addr_print(a, text);
	return text;
}

static bool same(const struct addr *a, const struct addr *b)
{
	return !addr_compare(a, b);
}

/* --- Claims and releases ---------------------------------------------------------------------- */

static void note_rest(const struct addr *a, uint64_t until_ms)
{
	for (int i = 0; i < 2 * HOLDS; i++)
		if (!book.rest[i].address.family || same(&book.rest[i].address, a)) {
			book.rest[i] = (struct rest){*a, until_ms, false};
			return;
		}
	test_stop(T_FAIL, "too many releases");
}

static const struct rest *rest_of(const struct addr *a)
{
	for (int i = 0; i < 2 * HOLDS; i++)
		if (same(&book.rest[i].address, a))
			return &book.rest[i];
	return NULL;
}

static void forget_rest(const struct addr *a)
{
	for (int i = 0; i < 2 * HOLDS; i++)
		if (same(&book.rest[i].address, a))
			book.rest[i] = (struct rest){0};
}

static struct addr address_of(const struct ipamd_request *req)
{
	struct addr a = {.family = 4};

	memcpy(a.bytes, req->lease[IPAMD_V4].address, 4);
	return a;
}

static struct hold *note_hold(const char *pod, const struct ipamd_request *req)
{
	struct hold *h = book.hold;

	while (h < book.hold + HOLDS && h->number)
		h++;
	if (h == book.hold + HOLDS)
		test_stop(T_FAIL, "too many claims");
	*h = (struct hold){.number = book.number, .pod = pod, .address = address_of(req)};
	return h;
}

/* NULL: there was none; the book has it when there was. */
static struct hold *claim(const char *pod)
{
	struct ipamd_request req;
	int r = node_claim(++book.number, pod, &req);
	struct addr a = address_of(&req);

	if (r) {
		complain("a claim is answered %d", r);
		return NULL;
	}
	for (int i = 0; i < HOLDS; i++)
		if (book.hold[i].number && same(&book.hold[i].address, &a))
			complain("%s is handed out twice", text_of(&a));
	if (rest_of(&a))
		complain("%s is handed out as it cools down", text_of(&a));
	return note_hold(pod, &req);
}

static void release(struct hold *h)
{
	uint64_t now = boot_ms();
	int r = node_release(h->number);

	if (r)
		complain("the release of %s is answered %d", text_of(&h->address), r);
	else
		note_rest(&h->address, now + COOLDOWN_MS);
	h->number = 0;
}

/* --- The manager ---------------------------------------------------------------------------------
 */

static pid_t manager;
static struct trace trace;

static void kill_manager(void)
{
	int status;

	if (manager <= 0)
		return;
	kill(manager, SIGKILL);
	waitpid(manager, &status, __WALL);
	manager = 0;
}

static void start_manager(void)
{
	manager = node_start(NULL);
	if (node_is_up(manager))
		return;
	complain("it does not come up again");
	kill_manager();
}

static void exec_manager(void)
{
	node_exec(NULL);
}

static void configure(unsigned int slots, unsigned int gateway)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "slots = %u\n"
		 "[pool default]\nsubnet = 10.77.0.0/26\nrange = 10.77.0.4-10.77.0.62\n"
		 "gateway = 10.77.0.%u\ncooldown = 60s\nlow = 2\nhigh = 4\n"
		 "[pool second]\nsubnet = 10.78.0.0/27\nrange = 10.78.0.4-10.78.0.30\n"
		 "gateway = 10.78.0.%u\ncooldown = 60s\nlow = 2\nhigh = 4\n",
		 slots, gateway, gateway);
	node_configure(text);
}

/* The HTTP code; 0: no answer. */
static int post(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int post(const char *format, ...)
{
	char path[256];
	va_list args;
	int code = 0;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	json_decref(node_ask("POST", path, &code));
	return code;
}

/* It has had its turn, and what the pods did is written down. */
static void settle(void)
{
	auto_pin struct pin *pin = node_pins();

	for (int i = 0; i < 2; i++) {
		mem_store(&pin->meta->heartbeat_ms, 0);
		if (post("/v1/drain?pool=default&off=1") != 200 ||
		    !node_until(mem_load(&pin->meta->heartbeat_ms)))
			complain("it does not take its turns");
	}
}

/* --- A call that is answered while the manager is looked at --------------------------------------
 */

static int call = -1;
static char answer[4096];
static struct pin *map; /* as it was when the phase began */
static uint64_t epoch;

static void ask(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void ask(const char *format, ...)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = NODE_RUN "/admin.sock"};
	char path[256], text[512];
	va_list args;
	int n;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	n = snprintf(text, sizeof(text),
		     "POST %s HTTP/1.1\r\nHost: node\r\nContent-Length: 0\r\n"
		     "Connection: close\r\n\r\n",
		     path);
	call = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(call, (struct sockaddr *)&at, sizeof(at)) ||
	    send(call, text, (size_t)n, 0) != n)
		test_stop(T_FAIL, "the call: %s", strerror(errno));
}

/* -1: not yet; 0: there will be none; else the code. */
static int answered(void)
{
	size_t used = strlen(answer);
	ssize_t n = recv(call, answer + used, sizeof(answer) - 1 - used, MSG_DONTWAIT);

	if (n > 0)
		answer[used + (size_t)n] = '\0';
	if (strstr(answer, "\r\n\r\n"))
		return atoi(answer + strcspn(answer, " "));
	return n < 0 && errno == EAGAIN ? -1 : 0;
}

static bool had_a_turn(void)
{
	return mem_load(&map->meta->heartbeat_ms) != 0;
}

static bool is_answered(void)
{
	return answered() >= 0 && had_a_turn();
}

static bool is_at_rest(void)
{
	return true;
}

/* --- The map
 * ---------------------------------------------------------------------------------------- */

struct look {
	struct addr address[IPAMD_SLOTS_MAX];
	uint64_t word[IPAMD_SLOTS_MAX];
	unsigned int used;
};

static struct look seen;

static void look(void)
{
	auto_pin struct pin *pin = NULL;

	seen.used = 0;
	if (pin_attach(NODE_PINS, &pin))
		return; /* it was cut off before there was one */
	for (unsigned int slot = 0; slot < pin->meta->slots; slot++) {
		uint64_t word = mem_load(&pin->words[slot]);
		struct ipamd_address a;

		if (slot_state(word) == IPAMD_EMPTY || slot_state(word) == IPAMD_MOVED ||
		    pin_address(pin, slot, &a))
			continue;
		seen.word[seen.used] = word;
		seen.address[seen.used] = (struct addr){.family = 4};
		memcpy(seen.address[seen.used++].bytes, a.bytes, 4);
	}
}

/* 0: it is in no slot. */
static uint64_t word_of(const struct addr *a)
{
	for (unsigned int i = 0; i < seen.used; i++)
		if (same(&seen.address[i], a))
			return seen.word[i];
	return 0;
}

/* By way of the quarantine time goes by quickly.  Only while there is no manager. */
static void end_rest(struct pin *pin, unsigned int slot, uint64_t word)
{
	uint64_t to[] = {slot_set_state(word, IPAMD_QUARANTINE),
			 slot_released(word, boot_ms() - 1)};

	for (int i = 0; i < 2; i++) {
		struct ipamd_request req;

		request_init(&req, IPAMD_STEP);
		req.change.slot = slot;
		req.change.expected = word;
		req.change.word = word = to[i];
		if (pin_run(pin, IPAMD_STEP, &req))
			return;
	}
}

/* What has been looked at, and nobody was promised anything about. */
static void let_time_pass(void)
{
	auto_pin struct pin *pin = NULL;

	if (pin_attach(NODE_PINS, &pin))
		return; /* it was cut off before there was one, or as it was replaced */
	for (unsigned int slot = 0; slot < pin->meta->slots; slot++) {
		uint64_t word = mem_load(&pin->words[slot]);
		struct addr at = {.family = 4};
		const struct rest *rest;
		struct ipamd_address a;

		if (slot_state(word) != IPAMD_FREE || slot_is_ready(word, boot_ms()) ||
		    pin_address(pin, slot, &a))
			continue;
		memcpy(at.bytes, a.bytes, 4);
		rest = rest_of(&at);
		if (rest && !rest->checked)
			continue;
		end_rest(pin, slot, word);
		forget_rest(&at);
	}
}

/* --- Whether everything holds
 * --------------------------------------------------------------------- */

static void check_doubles(void)
{
	for (unsigned int i = 0; i < seen.used; i++)
		for (unsigned int j = 0; j < i; j++)
			if (same(&seen.address[i], &seen.address[j]))
				complain("%s is in two slots", text_of(&seen.address[i]));
}

static void check_holds(void)
{
	for (struct hold *h = book.hold; h < book.hold + HOLDS; h++) {
		struct ipamd_request req;
		struct addr a;
		int r;

		if (!h->number)
			continue;
		r = node_claim(h->number, h->pod, &req);
		a = address_of(&req);
		if (r)
			complain("%s is held by container-%u, whose ADD is answered %d",
				 text_of(&h->address), h->number, r);
		else if (!same(&a, &h->address))
			complain("container-%u held %u.%u.%u.%u and is answered %s", h->number,
				 h->address.bytes[0], h->address.bytes[1], h->address.bytes[2],
				 h->address.bytes[3], text_of(&a));
		else if (!req.again)
			complain("%s was taken from container-%u, and it got it again", text_of(&a),
				 h->number);
	}
}

static void check_rests(void)
{
	for (struct rest *r = book.rest; r < book.rest + 2 * HOLDS; r++) {
		uint64_t word = word_of(&r->address);

		if (!r->address.family)
			continue;
		if (slot_state(word) != IPAMD_FREE)
			complain("%s is to cool down, and is in state %d", text_of(&r->address),
				 (int)slot_state(word));
		else if (slot_time(word) < r->until_ms)
			complain("%s is ready %lld ms too early", text_of(&r->address),
				 (long long)(r->until_ms - slot_time(word)));
		r->checked = true;
	}
}

static void check_fixed(void)
{
	for (struct fixed *f = book.fixed; f < book.fixed + 8; f++) {
		struct ipamd_request req;
		struct addr a;
		int r;

		if (f->ended && word_of(&f->address) & SLOT_FIXED)
			complain("%s is still fixed", text_of(&f->address));
		if (!f->address.family || f->ended)
			continue;
		if (!(word_of(&f->address) & SLOT_FIXED))
			complain("%s is not fixed any more", text_of(&f->address));
		r = node_claim(++book.number, f->pod, &req);
		a = address_of(&req);
		if (r || !same(&a, &f->address))
			complain("%s is fixed for %s, which is answered %d, %u.%u.%u.%u",
				 text_of(&f->address), f->pod, r, a.bytes[0], a.bytes[1],
				 a.bytes[2], a.bytes[3]);
		if (!r && node_release(book.number))
			complain("%s cannot be released", text_of(&f->address));
	}
}

static const char *state_of_second(json_t *status)
{
	json_t *pools = json_object_get(status, "pools"), *p;
	const char *state = "away";
	size_t i;

	json_array_foreach(
		pools, i, p) if (!strcmp(json_string_value(json_object_get(p, "name")), "second") &&
				 json_object_get(p, "low")) /* and not only what is left of it */
		state = json_string_value(json_object_get(p, "state"));
	return state;
}

static void check_status(bool afterwards)
{
	int code = 0;
	json_t *status = node_ask("GET", "/v1/status", &code);
	json_t *balance = json_object_get(status, "balance");
	const char *second = state_of_second(status);
	long long used = json_integer_value(json_object_get(balance, "slots_used"));
	long long quarantine = json_integer_value(json_object_get(balance, "quarantine"));
	long long waiting = json_integer_value(json_object_get(balance, "waiting"));

	if (code != 200)
		complain("it does not answer");
	else if (afterwards && !json_is_true(json_object_get(balance, "holds")))
		complain("the balance does not hold");
	else if (afterwards && used != seen.used)
		complain("%u slots are used, it counts %lld", seen.used, used);
	else if (afterwards && (quarantine || waiting))
		complain("%lld in quarantine, %lld in no slot", quarantine, waiting);
	if (code == 200 && book.drained == YES && strcmp(second, "draining"))
		complain("the drained pool is %s", second);
	if (code == 200 && book.drained == NO && strcmp(second, "open"))
		complain("the pool that was opened again is %s", second);
	json_decref(status);
}

static bool has_row[IPAMD_SLOTS_MAX];

static int check_row(void *ctx, const struct store_row *row)
{
	(void)ctx;
	for (unsigned int i = 0; i < seen.used; i++)
		if (same(&seen.address[i], &row->address))
			has_row[i] = true;
	return 0;
}

/* No address is in a slot that has no row.  Without a manager, as the kill left it. */
static void check_rows(void)
{
	char aside[4096];
	struct store *s = NULL;

	look();
	memset(has_row, 0, sizeof(has_row));
	if (!seen.used)
		return;
	if (system("rm -rf " NODE "/copy && cp -a " NODE_STATE " " NODE "/copy"))
		complain("the database cannot be copied");
	store_open(NODE "/copy/ipamd.db", aside, &s);
	if (!s || store_each(s, check_row, NULL))
		complain("the database cannot be read");
	for (unsigned int i = 0; s && i < seen.used; i++)
		if (!has_row[i])
			complain("%s is in a slot and has no row", text_of(&seen.address[i]));
	store_close(s);
}

static void check(void)
{
	look();
	check_doubles();
	check_status(true);
	check_rests();
	check_fixed();
	check_holds();
}

/* --- The world
 * ------------------------------------------------------------------------------------------ */

static void wipe(void)
{
	kill_manager();
	memset(&book, 0, sizeof(book));
	if (system("cd " NODE " && rm -rf state/* run copy log bpf/ipamd/current bpf/ipamd/g*"))
		test_stop(T_FAIL, "wipe");
}

static void fix(const char *text, const char *pod)
{
	for (struct fixed *f = book.fixed; f < book.fixed + 8; f++) {
		if (f->address.family)
			continue;
		if (post("/v1/fix?address=%s&namespace=default&pod=%s", text, pod) != 200)
			complain("%s cannot be fixed", text);
		addr_parse(text, &f->address);
		snprintf(f->pod, sizeof(f->pod), "%s", pod);
		return;
	}
}

/* Two that hold, one that cools, one that is fixed, and a pool that is drained. */
static void populate(void)
{
	struct hold *h;

	wipe();
	configure(64, 1);
	start_manager();
	if (!manager)
		test_stop(T_FAIL, "%s", wrong);
	fix("10.77.0.50", "db-0");
	claim("web-1");
	claim(NULL);
	settle();
	h = claim(NULL);
	settle();
	if (h)
		release(h);
	if (post("/v1/drain?pool=second") != 200)
		complain("it cannot be drained");
	book.drained = YES;
	settle();
	check();
	if (*wrong) {
		node_log_show();
		test_stop(T_FAIL, "before any fault: %s", wrong);
	}
}

static void end_passing(void)
{
	for (struct hold *h = book.hold; h < book.hold + HOLDS; h++)
		if (h->number && h->passing)
			release(h);
}

/* --- Points
 * -------------------------------------------------------------------------------------------------
 */

struct phase {
	const char *name;
	bool at_start; /* the manager's start is the phase; else it is up */
	bool leaves;   /* its end is the phase's end */
	void (*prepare)(void);
	void (*act)(void); /* it is stopped meanwhile */
	bool (*is_over)(void);
	void (*note)(void);   /* what the book is to say of it */
	void (*verify)(void); /* what is not in the book */
};

static void begin_phase(const struct phase *p)
{
	answer[0] = '\0';
	if (p->prepare)
		p->prepare();
	if (p->at_start) {
		trace_exec(&trace, exec_manager);
		manager = trace.pid;
		return;
	}
	map = node_pins();
	epoch = mem_load(&map->meta->epoch);
	trace_attach(&trace, manager);
	mem_store(&map->meta->heartbeat_ms, 0);
	p->act();
}

static void end_phase(const struct phase *p)
{
	if (p->note)
		p->note();
	if (call >= 0)
		close(call);
	call = -1;
	pin_close(map);
	map = NULL;
}

static void check_end(const struct phase *p)
{
	if (WIFSIGNALED(trace.status))
		complain("it died by signal %d", WTERMSIG(trace.status));
	else if (!p->leaves && !WEXITSTATUS(trace.status))
		complain("it left without an error");
	else if (WEXITSTATUS(trace.status) && !node_log_has(": error: ") &&
		 !node_log_has("ipamd: /"))
		complain("it left with status %d and without a word", WEXITSTATUS(trace.status));
}

/* With a call that failed it goes on, or says why not. */
static void check_alive(const struct phase *p, enum trace_end end)
{
	if (end == TRACE_STUCK)
		complain("it hangs");
	if (end == TRACE_ENDED)
		check_end(p);
	if (end != TRACE_WHOLE)
		return;
	settle();
	look();
	check_doubles();
	check_status(false);
	check_fixed();
	check_holds();
}

/* False: the phase was over before the point. */
static bool try_point(const struct phase *p, bool fails, unsigned int point, unsigned int kind)
{
	enum trace_end end;

	trace = (struct trace){
		.fails = fails,
		.point = point,
		.kind = kind,
		.begin = p->at_start ? SYS_umask : -1,
		.is_over = p->is_over,
	};
	if (truncate(NODE_LOG, 0) && errno != ENOENT)
		complain("log: %s", strerror(errno));
	begin_phase(p);
	end = trace_run(&trace, LIMIT_S);
	if (end == TRACE_CUT || end == TRACE_ENDED)
		manager = 0;
	end_phase(p);
	if (fails && trace.hit)
		check_alive(p, end);
	else if (end == TRACE_STUCK || (end == TRACE_ENDED && (!p->leaves || trace.status)))
		complain("it %s, and nothing was done to it",
			 end == TRACE_STUCK ? "hangs" : "left");
	kill_manager();
	return trace.hit != 0;
}

/* An ordinary start, and everything is as it was promised. */
static void start_again(const struct phase *p)
{
	check_rows();
	let_time_pass();
	start_manager();
	if (!manager)
		return;
	check();
	if (p->verify)
		p->verify();
	if (p->at_start) {
		kill_manager();
		let_time_pass();
	}
}

static bool report(const struct phase *p, bool fails, unsigned int kind)
{
	char *save = NULL;

	if (!*wrong && !getenv("POINT"))
		return true;
	printf("# %s, call %u, %s %s%s: POINT=%u:%u\n", p->name, trace.hit, trace_name(trace.nr),
	       fails ? "fails with " : "is not made", fails ? strerrorname_np(trace.error) : "",
	       trace.hit, kind);
	for (char *line = strtok_r(wrong, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		printf("#   %s\n", line);
	if (getenv("POINT"))
		node_log_show();
	fflush(stdout);
	if (!*wrong)
		return true;
	wrong[0] = '\0';
	return false;
}

static bool run_point(const struct phase *p, bool fails, unsigned int point, unsigned int kind,
		      bool *ret_hit)
{
	*ret_hit = try_point(p, fails, point, kind);
	start_again(p);
	if (report(p, fails, kind))
		return true;
	populate();
	if (p->at_start)
		kill_manager();
	return false;
}

/* A turn of the clock may shift the calls by some: the end must be seen twice. */
static void run_phase(const struct phase *p, bool fails)
{
	unsigned int point = 1, kind = 0, last = ~0U, misses = 0, tried = 0, bad = 0;
	uint64_t began = boot_ms();
	const char *only = getenv("POINT");
	bool hit;

	node_make();
	populate();
	if (p->at_start)
		kill_manager();
	if (only && sscanf(only, "%u:%u", &point, &kind) > 0)
		last = point;
	while (misses < 2 && point <= last) {
		bad += !run_point(p, fails, point, kind, &hit);
		tried += hit;
		misses = hit ? 0 : misses + 1;
		if (hit && fails && !only && ++kind < trace.kinds) {
			point = trace.hit;
			continue;
		}
		kind = 0;
		point = hit ? trace.hit + 1 : point + 1;
	}
	kill_manager();
	printf("# %s: %u points in %llu ms, %u bad\n", p->name, tried,
	       (unsigned long long)(boot_ms() - began), bad);
	CHECK(!bad);
	CHECK(tried > (only ? 0 : 10));
}

/* --- Starts
 * ------------------------------------------------------------------------------------------------
 */

static void wipe_all(void)
{
	wipe();
	configure(64, 1);
}

static void has_stock(void)
{
	if (node_number("/v1/status", "pools.0.ready") < 2)
		complain("a fresh node has no stock");
}

void faults_start_fresh(bool fails)
{
	run_phase(&(struct phase){.name = "start, fresh",
				  .at_start = true,
				  .prepare = wipe_all,
				  .is_over = is_at_rest,
				  .verify = has_stock},
		  fails);
}

/* One more cools and another one is held than the rows say. */
static void change_unseen(void)
{
	struct hold *h = book.hold;

	while (h < book.hold + HOLDS && !h->number)
		h++;
	if (h < book.hold + HOLDS)
		release(h);
	claim(NULL);
}

void faults_start_again(bool fails)
{
	run_phase(&(struct phase){.name = "start again",
				  .at_start = true,
				  .prepare = change_unseen,
				  .is_over = is_at_rest},
		  fails);
}

/* A claim was answered that no row tells of: that address must not be ready soon. */
static void lose_map(void)
{
	struct hold *h;

	start_manager();
	if (!manager)
		return;
	settle();
	kill_manager();
	h = claim(NULL);
	if (h) {
		note_rest(&h->address, boot_ms() + DOUBT_MS);
		h->number = 0;
	}
	book.drained = UNKNOWN; /* the map knew of it, alone */
	if (system("rm -rf " NODE_PINS "/current " NODE_PINS "/g*"))
		complain("the map cannot be lost");
}

void faults_start_lost(bool fails)
{
	run_phase(&(struct phase){.name = "start with the map lost",
				  .at_start = true,
				  .prepare = lose_map,
				  .is_over = is_at_rest,
				  .verify = settle},
		  fails);
}

/* Always upwards: the way back is not the same calls. */
static void change_capacity(void)
{
	configure(64, 1);
	start_manager();
	kill_manager();
	let_time_pass();
	change_unseen();
	configure(65, 1);
}

void faults_upgrade(bool fails)
{
	run_phase(&(struct phase){.name = "upgrade",
				  .at_start = true,
				  .prepare = change_capacity,
				  .is_over = is_at_rest},
		  fails);
}

/* --- What the pods do
 * --------------------------------------------------------------------------------------- */

static void kick(void)
{
	ask("/v1/drain?pool=default&off=1");
}

static void let_go(void)
{
	end_passing();
	settle();
}

static void claim_some(void)
{
	for (int i = 0; i < 2; i++) {
		struct hold *h = claim(NULL);

		if (h)
			h->passing = true;
	}
	kick();
}

void faults_refill(bool fails)
{
	run_phase(&(struct phase){.name = "refill",
				  .prepare = let_go,
				  .act = claim_some,
				  .is_over = is_answered},
		  fails);
}

static void claim_one(void)
{
	struct hold *h;

	end_passing();
	h = claim(NULL);
	if (h)
		h->passing = true;
	settle();
}

static void release_one(void)
{
	end_passing();
	kick();
}

void faults_release(bool fails)
{
	run_phase(&(struct phase){.name = "release",
				  .prepare = claim_one,
				  .act = release_one,
				  .is_over = is_answered},
		  fails);
}

static struct node_pod pod;
static struct addr target;
static char target_pod[32];

static void start_pod(void)
{
	struct ipamd_request req;

	node_pod_start(&pod);
	if (node_pod_claim(&pod, ++book.number, &req))
		complain("the pod gets no address");
	target = address_of(&req);
	settle();
}

static void end_pod(void)
{
	note_rest(&target, boot_ms() + COOLDOWN_MS);
	node_pod_end(&pod);
}

static bool is_reclaimed(void)
{
	look();
	return slot_state(word_of(&target)) == IPAMD_FREE && mem_load(&map->meta->epoch) != epoch;
}

void faults_reclaim(bool fails)
{
	run_phase(&(struct phase){.name = "reclaim",
				  .prepare = start_pod,
				  .act = end_pod,
				  .is_over = is_reclaimed},
		  fails);
}

/* --- What the operator does
 * ------------------------------------------------------------------------------------- */

static void open_second(void)
{
	if (post("/v1/drain?pool=second&off=1") != 200)
		complain("it cannot be opened again");
	book.drained = NO;
	settle();
}

static void ask_drain(void)
{
	book.drained = UNKNOWN;
	ask("/v1/drain?pool=second");
}

static void note_drained(void)
{
	if (answered() == 200)
		book.drained = YES;
}

void faults_drain(bool fails)
{
	run_phase(&(struct phase){.name = "drain",
				  .prepare = open_second,
				  .act = ask_drain,
				  .is_over = is_answered,
				  .note = note_drained},
		  fails);
}

static void drain_second(void)
{
	if (post("/v1/drain?pool=second") != 200)
		complain("it cannot be drained");
	book.drained = YES;
	settle();
}

static void ask_open(void)
{
	book.drained = UNKNOWN;
	ask("/v1/drain?pool=second&off=1");
}

static void note_open(void)
{
	if (answered() == 200)
		book.drained = NO;
}

void faults_open_again(bool fails)
{
	run_phase(&(struct phase){.name = "open again",
				  .prepare = drain_second,
				  .act = ask_open,
				  .is_over = is_answered,
				  .note = note_open},
		  fails);
}

static uint64_t default_pools;

/* Always from the one to the other: the two ways are not the same calls. */
static void reset_gateway(void)
{
	configure(64, 1);
	if (post("/v1/reload") != 200)
		complain("it cannot be reloaded");
	settle();
}

static void change_gateway(void)
{
	default_pools = mem_load(&map->meta->default_pools);
	configure(64, 2);
	kill(manager, SIGHUP);
}

static bool is_read_again(void)
{
	return had_a_turn() && (mem_load(&map->meta->default_pools) != default_pools ||
				node_log_has("the configuration stays as it was"));
}

void faults_reload(bool fails)
{
	run_phase(&(struct phase){.name = "reload",
				  .prepare = reset_gateway,
				  .act = change_gateway,
				  .is_over = is_read_again},
		  fails);
}

static struct fixed *second_fixed = &book.fixed[1];

/* Whatever became of the last one. */
static void end_last_fix(void)
{
	if (target.family)
		post("/v1/unfix?address=%s", text_of(&target));
	*second_fixed = (struct fixed){0};
	snprintf(target_pod, sizeof(target_pod), "db-%u", ++book.number);
	settle();
	look();
}

static void find_stocked(void)
{
	end_last_fix();
	for (unsigned int i = 0; i < seen.used; i++)
		if (slot_state(seen.word[i]) == IPAMD_FREE && !(seen.word[i] & SLOT_FIXED) &&
		    slot_is_ready(seen.word[i], boot_ms()) && seen.address[i].bytes[1] == 77) {
			target = seen.address[i];
			return;
		}
	complain("there is no stock");
}

static void find_new(void)
{
	end_last_fix();
	for (unsigned int i = 62; i > 50; i--) {
		target = (struct addr){.family = 4, .bytes = {10, 77, 0, (__u8)i}};
		if (!word_of(&target))
			return;
	}
	complain("everything is in stock");
}

static void ask_fix(void)
{
	ask("/v1/fix?address=%s&namespace=default&pod=%s", text_of(&target), target_pod);
}

static void note_fix(void)
{
	if (answered() != 200)
		return;
	second_fixed->address = target;
	snprintf(second_fixed->pod, sizeof(second_fixed->pod), "%s", target_pod);
}

void faults_fix(bool fails)
{
	run_phase(&(struct phase){.name = "fix",
				  .prepare = find_stocked,
				  .act = ask_fix,
				  .is_over = is_answered,
				  .note = note_fix},
		  fails);
}

void faults_fix_new(bool fails)
{
	run_phase(&(struct phase){.name = "fix, not in stock",
				  .prepare = find_new,
				  .act = ask_fix,
				  .is_over = is_answered,
				  .note = note_fix},
		  fails);
}

static void fix_stocked(void)
{
	find_stocked();
	if (post("/v1/fix?address=%s&namespace=default&pod=%s", text_of(&target), target_pod) !=
	    200)
		complain("%s cannot be fixed", text_of(&target));
	settle();
}

static void ask_unfix(void)
{
	ask("/v1/unfix?address=%s", text_of(&target));
}

static void note_unfix(void)
{
	if (answered() == 200)
		*second_fixed = (struct fixed){.address = target, .ended = true};
}

void faults_unfix(bool fails)
{
	run_phase(&(struct phase){.name = "unfix",
				  .prepare = fix_stocked,
				  .act = ask_unfix,
				  .is_over = is_answered,
				  .note = note_unfix},
		  fails);
}

static void ask_to_stop(void)
{
	change_unseen();
	kill(manager, SIGTERM);
}

static bool is_never_over(void)
{
	return false;
}

void faults_stop(bool fails)
{
	run_phase(&(struct phase){.name = "stop",
				  .leaves = true,
				  .prepare = settle,
				  .act = ask_to_stop,
				  .is_over = is_never_over},
		  fails);
}
