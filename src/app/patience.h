/*
 * For commands that wait for something outside, which may be away: says on standard error what is waited for,
 * once, if it takes longer than PATIENCE_MS. Whatever blocks may go on blocking: a thread of its own does it.
 */
#ifndef APP_PATIENCE_H
#define APP_PATIENCE_H

enum { PATIENCE_MS = 1000 };

struct patience;

/* Copies `text`, a line without its end. */
struct patience *patience_begin(const char *text);

/* Behind it nothing is said any more. NULL is fine. */
void patience_end(struct patience *patience);

#endif
