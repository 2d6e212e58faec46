/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* For http.c alone, which is libevent too: the base under the loop. */
#ifndef IPAMD_EDGE_LOOP_BASE_H
#define IPAMD_EDGE_LOOP_BASE_H

struct loop;
struct event_base;

struct event_base *loop_base(struct loop *loop);

#endif
