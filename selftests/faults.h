/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The manager cut off at every system call of a phase, or with every one of them
 * failing once; what it had promised until then must hold after an ordinary start.
 *
 * POINT=number, or POINT=number:kind of failure, tries that one alone.
 */
#ifndef IPAMD_SELFTESTS_FAULTS_H
#define IPAMD_SELFTESTS_FAULTS_H

#include <stdbool.h>

/* Each is the whole of a test; fails: the calls fail, else the process is killed. */
void faults_start_fresh(bool fails);
void faults_start_again(bool fails);
void faults_start_lost(bool fails);
void faults_upgrade(bool fails);
void faults_refill(bool fails);
void faults_release(bool fails);
void faults_drain(bool fails);
void faults_open_again(bool fails);
void faults_reload(bool fails);
void faults_fix(bool fails);
void faults_fix_new(bool fails);
void faults_unfix(bool fails);
void faults_reclaim(bool fails);
void faults_stop(bool fails);

#endif
