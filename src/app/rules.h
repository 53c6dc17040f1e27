/*
 * The rules in force: the book of all rules, and the way of a changed set to every lane. The book
 * belongs to the service's loop once the lanes run.
 *
 * First the logs of the actions that reach outside are made (action/action.h), so that every engine finds
 * them. Then a change travels as one task to each lane, which makes an engine for the new set out
 * of what it has, puts it in force (its routes are forgotten) and frees the old one, and comes
 * home. Changes are not waited for one by another: they reach every lane in the order in which they
 * were made. When all lanes are home, the change is in force everywhere and who made it is told.
 * The old set is freed with the last engine over it.
 *
 * While main reads the configuration anew nothing else may change (rules_is_frozen).
 */
#ifndef APP_RULES_H
#define APP_RULES_H

#include "action/action.h"
#include "app/config.h"
#include "app/lane.h"
#include "rule/book.h"

struct rules {
    struct lane *lanes;
    unsigned lane_count;
    struct loop *loop; /* the service's */
    struct rule_book *book, *next_book;
    bool frozen;
    struct action_host *actions; /* NULL: not yet, or no more */
    struct link preparing;       /* struct change, in the order in which they were made */
    size_t applying;             /* changes on their way */
};

/* Before the lanes run; from main. */
int rules_open(struct rules *rules, struct facts *facts, const struct config *config,
               struct err *err);

/* The lanes run: lane number `lane_count` - 1 is the service's. Puts the rules in force. */
int rules_start(struct rules *rules, struct lane *lanes, unsigned lane_count, struct err *err);

/* The host that makes logs for changes from now on; NULL: there is none any more. From the service's
 * loop. */
void rules_use_actions(struct rules *rules, struct action_host *actions);

/* After the lanes ended. */
void rules_close(struct rules *rules);

/* Puts what the book has now in force; `done` runs on the service's loop, never before this returns. From
 * the service's loop. */
void rules_apply(struct rules *rules, void (*done)(void *data, int code), void *data);

/* Another configuration: all of its rules or, on failure, those that there were. From main. */
int rules_reload(struct rules *rules, const struct config *fresh, struct err *err);

#endif
