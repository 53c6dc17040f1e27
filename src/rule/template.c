#include "rule/template.h"

#include "base/random.h"
#include "rule/lexer.h"
#include "rule/parser.h"

enum { PIECES_MAX = 64 };

/* The offset of the next "${", or the length. */
static size_t find_opening(struct str text, size_t from) {
    for (size_t i = from; i + 1 < text.len; i++)
        if (text.at[i] == '$' && text.at[i + 1] == '{')
            return i;
    return text.len;
}

static enum template_kind kind_of_one(const struct plan_expression *only) {
    if (!only)
        return TEMPLATE_TEXT;
    if (only->kind != PLAN_CALL || only->count)
        return TEMPLATE_VALUE;
    if (only->function->call == rule_function_topic)
        return TEMPLATE_TOPIC;
    return only->function->call == rule_function_newuuid ? TEMPLATE_UUID : TEMPLATE_VALUE;
}

static void classify(struct rule_template *template) {
    if (template->count == 0)
        template->kind = TEMPLATE_TEXT;
    else
        template->kind =
            template->count == 1 ? kind_of_one(template->pieces[0].expression) : TEMPLATE_MIXED;
}

int rule_template_compile(struct arena *arena, struct str text, const struct plan *plan,
                          struct rule_template *ret_template, struct err *err) {
    struct template_piece pieces[PIECES_MAX];
    size_t count = 0;
    for (size_t at = 0; at < text.len;) {
        size_t opening = find_opening(text, at);
        if (count + 2 > PIECES_MAX)
            return rule_sql_error(text, at, err, ERR_INVALID, "more than %d pieces", PIECES_MAX);
        if (opening > at)
            pieces[count++] = (struct template_piece){.text = str_from(text.at + at, opening - at)};
        at = opening;
        if (opening == text.len)
            break;
        struct ast_node *node;
        struct plan_expression *expression;
        int result = rule_parse_template(arena, text, opening + 2, &node, &at, err);
        if (result == 0)
            result = rule_plan_template(arena, text, plan, node, &expression, err);
        if (result < 0)
            return result;
        pieces[count++] = (struct template_piece){.expression = expression};
    }
    ret_template->text = text;
    ret_template->count = count;
    ret_template->pieces = arena_alloc(arena, count * sizeof *pieces);
    if (count)
        memcpy(ret_template->pieces, pieces, count * sizeof *pieces);
    classify(ret_template);
    return 0;
}

/* A text need not be copied. */
static struct str expand_value(const struct plan_expression *expression,
                               struct evaluation *evaluation, struct buf *room) {
    struct value value = rule_evaluate_expression(expression, evaluation);
    if (value.type == VALUE_STRING)
        return value.text;
    rule_value_add_text(evaluation, room, value);
    return buf_str(room);
}

struct str rule_template_expand(const struct rule_template *template, struct evaluation *evaluation,
                                struct buf *room) {
    buf_clear(room);
    if (template->kind == TEMPLATE_VALUE)
        return expand_value(template->pieces[0].expression, evaluation, room);
    if (template->kind == TEMPLATE_UUID) {
        evaluation->environment->uuid(evaluation->environment, (char *)buf_room(room, UUID_CHARS));
        buf_added(room, UUID_CHARS);
        return buf_str(room);
    }
    for (const struct template_piece *piece = template->pieces;
         piece < template->pieces + template->count; piece++) {
        if (piece->expression)
            rule_value_add_text(evaluation, room,
                                rule_evaluate_expression(piece->expression, evaluation));
        else
            buf_add_str(room, piece->text);
    }
    return buf_str(room);
}
