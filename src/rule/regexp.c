/*
 * Patterns that stand in a rule are compiled to machine code, those that come with messages are
 * interpreted: compiling would cost more than they search.
 *
 * Replacements are those of Java's Matcher.replaceAll(): $1 takes as many digits as make the number
 * of a group that the pattern has, ${name} a group by name, \x is x. A group that took no part is
 * empty.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "rule/regexp.h"

#include <pcre2.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

enum {
    GROUPS_MAX = 100,
    STEPS_PER_SEARCH = 400000,
    STEPS_PER_BEGIN_MIN = 100,
    BYTES_OF_A_LONG_TEXT = 512, /* in which a step costs more */
    HEAP_KIBIBYTES_MAX = 1024,
    JIT_STACK_BYTES = 32 * 1024,
    JIT_STACK_BYTES_MAX = 256 * 1024,
};

struct regexp {
    pcre2_code *code;
    int groups;
    bool machine_code;
};

struct regexp_room {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

static void free_code(void *code) {
    pcre2_code_free(code);
}

const struct regexp *regexp_compile(struct arena *arena, struct str pattern, bool constant) {
    int error;
    size_t at;
    uint32_t groups;
    if (pattern.len > REGEXP_PATTERN_BYTES_MAX)
        return NULL;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    ASSERT(context);
    pcre2_set_newline(context, PCRE2_NEWLINE_ANY);
    pcre2_set_parens_nest_limit(context, GROUPS_MAX);
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)(pattern.at ? pattern.at : ""), pattern.len,
                                     PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &error, &at, context);
    pcre2_compile_context_free(context);
    if (!code)
        return NULL;
    pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &groups);
    if (groups > GROUPS_MAX) {
        pcre2_code_free(code);
        return NULL;
    }
    bool machine_code = constant && pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) == 0;
    arena_defer(arena, free_code, code);
    struct regexp *regexp = arena_alloc(arena, sizeof *regexp);
    *regexp = (struct regexp){code, (int)groups, machine_code};
    return regexp;
}

static struct regexp_room *room_new(void) {
    struct regexp_room *room = xcalloc(1, sizeof *room);
    room->data = pcre2_match_data_create(GROUPS_MAX + 1, NULL);
    room->context = pcre2_match_context_create(NULL);
    room->stack = pcre2_jit_stack_create(JIT_STACK_BYTES, JIT_STACK_BYTES_MAX, NULL);
    ASSERT(room->data && room->context && room->stack);
    pcre2_set_heap_limit(room->context, HEAP_KIBIBYTES_MAX);
    pcre2_jit_stack_assign(room->context, NULL, room->stack);
    return room;
}

void regexp_room_free(struct regexp_room *room) {
    if (!room)
        return;
    pcre2_match_data_free(room->data);
    pcre2_match_context_free(room->context);
    pcre2_jit_stack_free(room->stack);
    free(room);
}

enum regexp_result regexp_search(struct regexp_room **room, const struct regexp *regexp,
                                 struct str text, size_t from, bool again,
                                 struct regexp_match *ret_match) {
    if (text.len > (regexp->machine_code ? REGEXP_TEXT_BYTES_MAX : REGEXP_INTERPRETED_BYTES_MAX))
        return REGEXP_TOO_MUCH;
    if (!*room)
        *room = room_new();
    /* Machine code counts over the whole search, the interpreter anew where a match may begin. */
    uint32_t steps = regexp->machine_code
                         ? STEPS_PER_SEARCH / (uint32_t)(1 + text.len / BYTES_OF_A_LONG_TEXT)
                         : STEPS_PER_BEGIN_MIN + STEPS_PER_SEARCH / (uint32_t)(text.len + 1);
    pcre2_set_match_limit((*room)->context, steps);
    pcre2_set_depth_limit((*room)->context, steps);
    int result = pcre2_match(regexp->code, (PCRE2_SPTR)(text.at ? text.at : ""), text.len, from,
                             again ? PCRE2_NO_UTF_CHECK : 0, (*room)->data, (*room)->context);
    if (result == PCRE2_ERROR_NOMATCH)
        return REGEXP_NOT_FOUND;
    if (result < 0 && result >= PCRE2_ERROR_UTF8_ERR21 && result <= PCRE2_ERROR_UTF8_ERR1)
        return REGEXP_NOT_TEXT;
    if (result < 0)
        return REGEXP_TOO_MUCH;
    const size_t *places = pcre2_get_ovector_pointer((*room)->data);
    /* \K behind a lookahead can put the beginning behind the end. */
    *ret_match = (struct regexp_match){places[0] < places[1] ? places[0] : places[1], places[1]};
    return REGEXP_FOUND;
}

size_t regexp_cost(const struct regexp *regexp, size_t begins, size_t bytes) {
    enum { BYTES_PER_STEP = 16, BYTES_PER_STEP_OF_MACHINE_CODE = 1024 };
    return 1 + begins * bytes /
                   (regexp->machine_code ? BYTES_PER_STEP_OF_MACHINE_CODE : BYTES_PER_STEP);
}

/* --- replacements --- */

/* One piece at the beginning of *rest, which is moved behind it: literal text, or a group. */
enum { TEXT_ALONE = -1, NAME_BYTES_MAX = 64 };

struct piece {
    struct str text;
    int group; /* TEXT_ALONE: text */
};

static bool next_digit_group(const struct regexp *regexp, struct str *rest, struct piece *piece) {
    size_t at = 1;
    int group = 0;
    while (at < rest->len && rest->at[at] >= '0' && rest->at[at] <= '9') {
        int longer = group * 10 + (rest->at[at] - '0');
        if (at > 1 && longer > regexp->groups)
            break;
        group = longer;
        at++;
    }
    *rest = str_skip(*rest, at);
    piece->group = group;
    return at > 1 && group <= regexp->groups;
}

static bool next_named_group(const struct regexp *regexp, struct str *rest, struct piece *piece) {
    char name[NAME_BYTES_MAX];
    struct str behind, text = str_cut(str_skip(*rest, 2), '}', &behind);
    if (text.len >= sizeof name || text.at + text.len == rest->at + rest->len)
        return false;
    memcpy(name, text.at, text.len);
    name[text.len] = '\0';
    piece->group = pcre2_substring_number_from_name(regexp->code, (PCRE2_SPTR)name);
    *rest = behind;
    return piece->group > 0;
}

static bool next_piece(const struct regexp *regexp, struct str *rest, struct piece *piece) {
    char first = rest->at[0], second = rest->len > 1 ? rest->at[1] : '\0';
    *piece = (struct piece){str_from(rest->at, 1), TEXT_ALONE};
    if (first == '\\') {
        if (rest->len < 2)
            return false;
        piece->text = str_from(rest->at + 1, 1);
        *rest = str_skip(*rest, 2);
        return true;
    }
    if (first == '$')
        return second == '{' ? next_named_group(regexp, rest, piece)
                             : next_digit_group(regexp, rest, piece);
    *rest = str_skip(*rest, 1);
    return true;
}

bool regexp_replacement_valid(const struct regexp *regexp, struct str replacement) {
    struct piece piece;
    while (replacement.len)
        if (!next_piece(regexp, &replacement, &piece))
            return false;
    return true;
}

void regexp_replacement_add(struct buf *out, struct regexp_room *room, const struct regexp *regexp,
                            struct str text, struct str replacement) {
    const size_t *places = pcre2_get_ovector_pointer(room->data);
    struct piece piece;
    while (replacement.len && next_piece(regexp, &replacement, &piece)) {
        if (piece.group == TEXT_ALONE) {
            buf_add_str(out, piece.text);
            continue;
        }
        size_t begin = places[2 * piece.group], end = places[2 * piece.group + 1];
        if (begin != PCRE2_UNSET && begin <= end)
            buf_add(out, text.at + begin, end - begin);
    }
}
