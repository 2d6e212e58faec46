/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Running the plugin as a runtime does: environment, stdin, stdout, stderr, exit code. */
#ifndef IPAMD_SELFTESTS_CNI_H
#define IPAMD_SELFTESTS_CNI_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct cni {
	/* What goes in.  Empty text: the variable is not set. */
	const char *command, *container, *netns, *ifname, *args, *path, *more;
	const char *conf;
	size_t conf_size; /* 0: strlen(conf) */
	bool stdin_open;  /* nobody closes it */
	bool stdin_closed, stdout_closed;
	bool held_up; /* stops itself before it becomes the plugin */
	/* What comes out. */
	int code; /* of its exit; 128 + signal */
	char out[16384], err[16384];
	unsigned int ms;
};

/* The variables of a whole call, for the container of that number in that namespace. */
void cni_init(struct cni *c, const char *command, unsigned int number, const char *netns,
	      const char *conf);

/* Runs it; ends the test when it takes longer than 30 s. */
void cni_run(struct cni *c);

/* This process becomes the plugin, with these as its standard descriptors. */
void cni_exec(const struct cni *c, int in, int out, int err);

/* In two steps: it runs meanwhile. */
pid_t cni_start(struct cni *c);
/* A small configuration at once, so that it goes on before cni_finish(). */
void cni_feed(struct cni *c);
void cni_finish(struct cni *c);

/* The plugin's path. */
const char *cni_binary(void);

#endif
