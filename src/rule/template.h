/*
 * Substitution templates: "data/${topic(2)}/x" (AWS IoT Core Developer Guide, "Substitution
 * templates"). Read once when the rule is compiled, into literal and evaluated pieces. The
 * expressions see the original payload and the SET variables, not what SELECT makes. Undefined and
 * Null are empty text.
 */
#ifndef RULE_TEMPLATE_H
#define RULE_TEMPLATE_H

#include "base/buf.h"
#include "rule/evaluate.h"
#include "rule/plan.h"

enum template_kind {
    TEMPLATE_TEXT,  /* constant: `text` */
    TEMPLATE_TOPIC, /* "${topic()}" and nothing else: the usual partition key */
    TEMPLATE_UUID,  /* "${newuuid()}" and nothing else */
    TEMPLATE_VALUE, /* one expression and nothing else */
    TEMPLATE_MIXED,
};

struct template_piece {
    struct str text;                          /* literal, if there is no expression */
    const struct plan_expression *expression; /* or NULL */
};

struct rule_template {
    enum template_kind kind;
    struct str text;
    struct template_piece *pieces;
    size_t count;
};

/* `text` must outlive the arena. Errors begin with "LINE:COLUMN: " in the text: INVALID,
 * UNSUPPORTED. */
int rule_template_compile(struct arena *arena, struct str text, const struct plan *plan,
                          struct rule_template *ret_template, struct err *err);

struct str rule_template_expand(const struct rule_template *template, struct evaluation *evaluation,
                                struct buf *room);

/* The text for this message: a view into the template, the message, the evaluation's arena, or into
 * `room`, which may be cleared before. */
static inline struct str rule_template_evaluate(const struct rule_template *template,
                                                struct evaluation *evaluation, struct buf *room) {
    if (template->kind == TEMPLATE_TEXT)
        return template->text;
    if (template->kind == TEMPLATE_TOPIC)
        return evaluation->topic;
    return rule_template_expand(template, evaluation, room);
}

#endif
