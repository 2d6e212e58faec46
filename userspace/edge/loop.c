// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "userspace/edge/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "userspace/edge/loop_base.h"

struct loop {
	struct event_base *base;
	bool stopped;
	int r;
};

struct loop_event {
	struct event *event;
	void (*call)(void *ctx);
	void *ctx;
};

/* libevent's words; what matters comes back as a return value. */
static void ignore(int severity, const char *text)
{
	(void)severity;
	(void)text;
}

static void die(int err)
{
	(void)err;
	abort();
}

/*
 * Without the cached time, or a timer that is armed late in a long call is early by
 * as much; with the precise clock, for the coarse one is late by a tick.
 */
static struct event_base *new_base(void)
{
	const int flags = EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV |
			  EVENT_BASE_FLAG_NO_CACHE_TIME | EVENT_BASE_FLAG_PRECISE_TIMER;
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config && !event_config_set_flag(config, flags))
		base = event_base_new_with_config(config);
	if (config)
		event_config_free(config);
	return base;
}

int loop_open(struct loop **ret)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return -ENOMEM;
	event_set_log_callback(ignore);
	event_set_fatal_callback(die);
	loop->base = new_base();
	if (!loop->base) {
		free(loop);
		return -ENOMEM;
	}
	signal(SIGPIPE, SIG_IGN);
	*ret = loop;
	return 0;
}

void loop_close(struct loop *loop)
{
	if (!loop)
		return;
	event_base_free(loop->base);
	free(loop);
}

struct event_base *loop_base(struct loop *loop)
{
	return loop->base;
}

int loop_run(struct loop *loop)
{
	if (!loop->stopped && event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0)
		return -EIO;
	loop->stopped = false;
	return loop->r;
}

void loop_stop(struct loop *loop, int r)
{
	loop->stopped = true;
	loop->r = r;
	event_base_loopbreak(loop->base);
}

/* The event may be gone when the call returns. */
static void on_event(evutil_socket_t fd, short what, void *arg)
{
	const struct loop_event *event = arg;

	(void)fd;
	(void)what;
	event->call(event->ctx);
}

static int add(struct loop *loop, int fd, short what, const struct loop_event *template,
	       struct loop_event **ret)
{
	struct loop_event *event = malloc(sizeof(*event));

	if (!event)
		return -ENOMEM;
	*event = *template;
	event->event = event_new(loop->base, fd, what, on_event, event);
	/* A timer waits for loop_arm(). */
	if (!event->event || (what && event_add(event->event, NULL))) {
		loop_remove(event);
		return -EINVAL;
	}
	*ret = event;
	return 0;
}

int loop_on_readable(struct loop *loop, int fd, void (*call)(void *ctx), void *ctx,
		     struct loop_event **ret)
{
	const struct loop_event template = {.call = call, .ctx = ctx};

	return fd < 0 ? -EBADF : add(loop, fd, EV_READ | EV_PERSIST, &template, ret);
}

int loop_on_signal(struct loop *loop, int signal_number, void (*call)(void *ctx), void *ctx,
		   struct loop_event **ret)
{
	const struct loop_event template = {.call = call, .ctx = ctx};

	if (signal_number < 1 || signal_number >= NSIG)
		return -EINVAL;
	return add(loop, signal_number, EV_SIGNAL | EV_PERSIST, &template, ret);
}

int loop_on_time(struct loop *loop, void (*call)(void *ctx), void *ctx, struct loop_event **ret)
{
	const struct loop_event template = {.call = call, .ctx = ctx};

	return add(loop, -1, 0, &template, ret);
}

int loop_arm(struct loop_event *event, uint64_t after_ms)
{
	/* A year is for ever, and no sum of times overflows. */
	const uint64_t most_ms = 365ULL * 86400 * 1000;
	uint64_t ms = after_ms < most_ms ? after_ms : most_ms;
	const struct timeval after = {.tv_sec = (time_t)(ms / 1000),
				      .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

	return event_add(event->event, &after) ? -ENOMEM : 0;
}

void loop_disarm(struct loop_event *event)
{
	event_del(event->event);
}

void loop_remove(struct loop_event *event)
{
	if (!event)
		return;
	if (event->event)
		event_free(event->event);
	free(event);
}
