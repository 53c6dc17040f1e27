/*
 * A file layer for tests that fails as disks fail. It works on real files below one directory,
 * knows which of their content was synced, and can
 *   - fail the n-th write, sync, truncation, ... once or from then on, with a short write before
 *     the error,
 *   - cut the power: each change that was not synced is then kept, lost, or (a write) kept in part,
 *     page by page, in any order, as the seed says; files whose directory entry was not synced may
 *     vanish.
 *
 * Not for several threads.
 */
#ifndef STREAM_FAULT_FILE_H
#define STREAM_FAULT_FILE_H

#include "io/file.h"

struct fault_file;

struct fault_file *fault_file_new(uint64_t seed);
void fault_file_free(struct fault_file *fault);
const struct file_ops *fault_file_ops(struct fault_file *fault);

/* The n-th changing call from now on (1: the next) fails with `code` (NO_SPACE, IO). `lasting`: all
 * after it fail too. */
void fault_file_fail(struct fault_file *fault, unsigned n, int code, bool lasting);

/* No more failures. */
void fault_file_heal(struct fault_file *fault);

/* How many calls were failed since fault_file_fail(). */
unsigned fault_file_failures(const struct fault_file *fault);

/* The power goes at the n-th changing call from now on (1: the next), in the middle of whatever is being
 * done; fault_file_cut_power() then says what is left. */
void fault_file_die(struct fault_file *fault, unsigned n);
bool fault_file_is_dead(const struct fault_file *fault);

/* The files become what the disk would hold. All descriptors must be closed, or are forgotten
 * (`close` of them is fine). */
void fault_file_cut_power(struct fault_file *fault);

#endif
