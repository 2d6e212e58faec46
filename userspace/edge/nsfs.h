/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The network namespaces that a path leads to: /proc/<pid>/ns/net of every process,
 * and every mount of one (as /run/netns/...).  Whole, or an error.
 */
#ifndef IPAMD_EDGE_NSFS_H
#define IPAMD_EDGE_NSFS_H

/*
 * Calls found() with an open descriptor, which it does not keep, once for each
 * namespace but the own one.  What found() returns but 0 ends it and is returned.
 * A process or a mount that goes away meanwhile is no error; -EACCES also when /proc
 * hides processes.
 */
int nsfs_each(int (*found)(void *ctx, int fd), void *ctx);

#endif
