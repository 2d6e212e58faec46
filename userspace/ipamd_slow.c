// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The slow path: who found nothing in stock, or no program to run, sends the same
 * request as one datagram and is answered with it.
 *
 * The manager runs the same claim program with the waiter's own request, so that
 * a DEL that came meanwhile is seen by its tombstone; only while the waiter lives,
 * and what cannot be delivered is given back.  A waiter is demand: stock is made
 * for it at once.  It waits WAIT_MS at most.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "userspace/base/cleanup.h"
#include "userspace/core/frame.h"
#include "userspace/ipamd.h"

enum { BUSY_TRIES = 100 };

static void forget(struct manager *m, struct waiter *w)
{
	(void)m;
	loop_remove(w->event);
	close(w->fd);
	*w = (struct waiter){.fd = -1};
}

/* What is there to read from it: EAGAIN is nothing yet. */
static int peek(const struct waiter *w)
{
	char byte;
	ssize_t n = recv(w->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n > 0 ? 0 : n == 0 ? EPIPE : errno;
}

static bool is_alive(const struct waiter *w)
{
	int r = peek(w);

	return r == 0 || r == EAGAIN;
}

static bool send_answer(const struct waiter *w)
{
	return send(w->fd, &w->request, sizeof(w->request), MSG_DONTWAIT | MSG_NOSIGNAL) ==
	       (ssize_t)sizeof(w->request);
}

/* BUSY passes: another program is half way through. */
int slow_run(struct manager *m, struct ipamd_request *req)
{
	int r = IPAMD_BUSY;

	for (int i = 0; i < BUSY_TRIES && r == IPAMD_BUSY; i++) {
		r = pin_run(m->pin, req->verb, req);
		if (r == IPAMD_BUSY)
			sched_yield();
	}
	req->verdict = r;
	return r;
}

/* The answer, or the address back: a holder who knows nothing of it is a leak. */
static void answer(struct manager *m, struct waiter *w)
{
	bool holds = w->request.verb == IPAMD_CLAIM && !w->request.verdict && !w->request.again;

	if (!send_answer(w) && holds) {
		w->request.verb = IPAMD_RELEASE;
		slow_run(m, &w->request);
	}
	forget(m, w);
}

static void try_claim(struct manager *m, struct waiter *w)
{
	int r = slow_run(m, &w->request);

	if (r == IPAMD_EXHAUSTED && now_ms() < w->until_ms) {
		w->waits = true;
		return;
	}
	if (r == IPAMD_EXHAUSTED)
		m->counters.slow_timeouts++;
	else if (!r)
		m->counters.slow_claims++;
	answer(m, w);
}

/* The waiter whose event this is: found by its descriptor. */
static void read_request(struct manager *m, struct waiter *w)
{
	ssize_t n = recv(w->fd, &w->request, sizeof(w->request), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || w->waits) { /* gone, or it talks while it waits */
		forget(m, w);
		return;
	}
	m->last_use_ms = now_ms();
	if (!frame_check(&w->request, (size_t)n)) {
		frame_refuse(&w->request);
		answer(m, w);
		return;
	}
	w->until_ms = now_ms() + WAIT_MS;
	if (w->request.verb == IPAMD_CLAIM) {
		try_claim(m, w);
	} else {
		slow_run(m, &w->request);
		answer(m, w);
	}
	manager_soon(m);
}

/* One event a waiter; which, tells its context. */
struct seat {
	struct manager *m;
	unsigned int number;
};

static struct seat seats[WAITERS];

static void on_waiter(void *ctx)
{
	struct seat *s = ctx;

	read_request(s->m, &s->m->waiter[s->number]);
}

static bool is_root(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) && peer.uid == 0;
}

/* An empty seat, or that of the oldest who took one and says nothing; NULL: all wait. */
static struct waiter *find_seat(struct manager *m)
{
	struct waiter *oldest = NULL;

	for (unsigned int i = 0; i < WAITERS; i++) {
		struct waiter *w = &m->waiter[i];

		if (w->fd < 0)
			return w;
		if (!w->waits && (!oldest || w->until_ms < oldest->until_ms) && peek(w) == EAGAIN)
			oldest = w;
	}
	if (oldest)
		forget(m, oldest);
	return oldest;
}

static void on_connect(void *ctx)
{
	struct manager *m = ctx;
	auto_close int fd = accept4(m->slow_socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct waiter *w = fd >= 0 && is_root(fd) ? find_seat(m) : NULL;
	struct seat *seat;

	/* Full: who is turned away comes again or falls back; nothing is queued without a limit. */
	if (!w)
		return;
	seat = &seats[w - m->waiter];
	*seat = (struct seat){m, (unsigned int)(w - m->waiter)};
	if (loop_on_readable(m->loop, fd, on_waiter, seat, &w->event))
		return;
	w->fd = take_fd(&fd);
	w->until_ms = now_ms() + WAIT_MS; /* to say what it wants, first */
}

int slow_open(struct manager *m, struct loop_event **ret)
{
	for (unsigned int i = 0; i < WAITERS; i++)
		m->waiter[i].fd = -1;
	return loop_on_readable(m->loop, m->slow_socket, on_connect, m, ret);
}

/* The pools that a request would take from. */
static void count_demand(struct manager *m, const struct ipamd_request *r)
{
	const struct ipamd_digest *names[] = {&r->pool, &r->name_space};
	__u64 ref = m->pin->meta->default_pools;

	for (int i = 0; i < 2; i++) {
		__u64 found;

		if (digest_is_set(names[i]) && !pin_name_get(m->pin, names[i], &found)) {
			ref = found;
			break;
		}
	}
	for (int f = 0; f < IPAMD_FAMILIES; f++)
		if (ref_get(ref, f) < IPAMD_POOLS)
			m->pool[ref_get(ref, f)].waiters++;
}

void slow_count(struct manager *m)
{
	for (unsigned int i = 0; i < IPAMD_POOLS; i++)
		m->pool[i].waiters = 0;
	for (unsigned int i = 0; i < WAITERS; i++)
		if (m->waiter[i].fd >= 0 && m->waiter[i].waits)
			count_demand(m, &m->waiter[i].request);
}

void slow_turn(struct manager *m)
{
	uint64_t now = now_ms();

	for (unsigned int i = 0; i < WAITERS; i++) {
		struct waiter *w = &m->waiter[i];

		if (w->fd < 0)
			continue;
		if (!is_alive(w) || (!w->waits && now >= w->until_ms))
			forget(m, w);
		else if (w->waits)
			try_claim(m, w);
	}
}

bool slow_is_idle(const struct manager *m)
{
	for (unsigned int i = 0; i < WAITERS; i++)
		if (m->waiter[i].fd >= 0)
			return false;
	return true;
}

void slow_close(struct manager *m)
{
	for (unsigned int i = 0; i < WAITERS; i++)
		if (m->waiter[i].event)
			forget(m, &m->waiter[i]);
}
