/*
 * References on what several threads share. Whoever holds one may take another; the last one that is
 * given back frees, and sees all that the others did before.
 */
#ifndef BASE_REF_H
#define BASE_REF_H

#include <stdatomic.h>
#include <stdbool.h>

static inline void ref_take(_Atomic unsigned *references) {
    atomic_fetch_add_explicit(references, 1, memory_order_relaxed);
}

/* Whether it was the last. */
static inline bool ref_drop(_Atomic unsigned *references) {
    return atomic_fetch_sub_explicit(references, 1, memory_order_acq_rel) == 1;
}

#endif
