/*
 * The JSON reader. One loop goes through the text; no recursion: while an
 * array or object is open, its entry's `next` holds the index of the container around it, so the
 * tape is the stack. When it closes, `next` gets its meaning.
 *
 * It runs for each message, so what nearly always comes next is asked for first: the colon right behind
 * a name, the comma right behind a value. White space is looked for where that is not so. Room on the
 * tape is made once per value, for its name as well. And the loop is compiled twice: where the last
 * byte is a bracket, white space, numbers and words end before it at the latest, and only behind a
 * closing bracket can the text be at its end; so it is asked for there alone. Any other text may
 * end anywhere.
 *
 * Strings are scanned for what is special, 16 or eight bytes at a time: a quote, a backslash, a control
 * character, a byte above 0x7f (which makes the string be checked as UTF-8).
 */
#include "base/json.h"

#include <stdlib.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"

enum { ENTRIES_FIRST = 64, ENTRIES_PER_VALUE = 2, NO_CONTAINER = UINT32_MAX };

#define ALWAYS_INLINE static inline __attribute__((always_inline))

struct reader {
    struct json *json;
    const char *begin, *end;
    unsigned depth_max;
    int result;
};

/* What the loop works with. It lives in registers: only functions that are inlined get a pointer to
 * it. */
struct tape {
    struct json_entry *entries;
    uint32_t count, cap;
    uint32_t container; /* index of the innermost open array or object */
    unsigned depth;
    const char *begin, *end;
    bool ends_in_bracket;
};

void json_done(struct json *json) {
    free(json->entries);
    json->entries = NULL;
    json->count = json->cap = 0;
    json->text = (struct str){0};
}

/* NULL, which the functions below return instead of the place behind what they read. */
static const char *fail(struct reader *reader, const char *at, const char *text) {
    reader->json->error_at = (size_t)(at - reader->begin);
    reader->json->error_text = text;
    reader->result = ERR_INVALID;
    return NULL;
}

static __attribute__((noinline)) void entries_grow(struct json *json) {
    json->cap = json->cap ? json->cap * 2 : ENTRIES_FIRST;
    json->entries = xrealloc(json->entries, json->cap * sizeof *json->entries);
}

/* Room for a name and a value. */
ALWAYS_INLINE void tape_reserve(struct tape *tape, struct json *json) {
    if (tape->cap - tape->count >= ENTRIES_PER_VALUE)
        return;
    entries_grow(json);
    tape->entries = json->entries;
    tape->cap = (uint32_t)json->cap;
}

ALWAYS_INLINE void tape_add(struct tape *tape, uint32_t info, const char *at, size_t len) {
    struct json_entry *entry = &tape->entries[tape->count++];
    entry->at = (uint32_t)(at - tape->begin);
    entry->len = (uint32_t)len;
    entry->next = tape->count;
    entry->info = info;
}

/* Not behind a closing bracket, see above. */
ALWAYS_INLINE bool at_end(const struct tape *tape, const char *at) {
    return !tape->ends_in_bracket && at == tape->end;
}

ALWAYS_INLINE bool is_blank(char c) {
    return (unsigned char)c <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t');
}

ALWAYS_INLINE const char *skip_blank(const struct tape *tape, const char *at) {
    while (!at_end(tape, at) && is_blank(*at))
        at++;
    return at;
}

/* The high bit of each byte that is a quote, a backslash, below 0x20 or above 0x7f. Borrows may
 * mark a byte behind a marked one; the first mark is exact, and only that one is used. */
static inline uint64_t special_bytes(uint64_t word) {
    const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
    uint64_t quote = word ^ (ones * '"'), backslash = word ^ (ones * '\\');
    return ((quote - ones) | (backslash - ones) | (word - ones * 0x20) | word) & highs;
}

/* The first byte that is special in a string, or `end`. */
ALWAYS_INLINE const char *scan_plain(const char *at, const char *end) {
#ifdef __SSE2__
    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i ends = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
                                    _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
        /* As numbers with a sign, bytes above 0x7f are below 0x20 as well. */
        __m128i odd = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));
        unsigned marks = (unsigned)_mm_movemask_epi8(_mm_or_si128(ends, odd));
        if (marks)
            return at + __builtin_ctz(marks);
    }
#endif
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        uint64_t marks = special_bytes(word);
        if (marks)
            return at + (__builtin_ctzll(marks) >> 3);
    }
    while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' &&
           *at != '\\')
        at++;
    return at;
}

static bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* `at` is behind the backslash. Returns what follows the escape, NULL if it is none. */
static const char *skip_escape(const char *at, const char *end) {
    if (at == end)
        return NULL;
    if (*at != 'u')
        return *at && strchr("\"\\/bfnrt", *at) ? at + 1 : NULL;
    if (end - at < 5)
        return NULL;
    for (int i = 1; i <= 4; i++)
        if (!is_hex(at[i]))
            return NULL;
    return at + 5;
}

/* The rest of a string that began at `begin` and holds something special at `at`. Returns its closing
 * quote. */
static __attribute__((noinline)) const char *
skip_special_string(struct reader *reader, const char *begin, const char *at, uint32_t *ret_info) {
    const char *end = reader->end;
    bool wide = false;
    *ret_info = JSON_STRING;
    for (;; at = scan_plain(at, end)) {
        if (at == end)
            return fail(reader, begin - 1, "a string without end");
        if (*at == '"')
            break;
        if (*at == '\\') {
            const char *behind = skip_escape(at + 1, end);
            if (!behind)
                return fail(reader, at, "an unknown escape in a string");
            *ret_info |= JSON_ESCAPED;
            at = behind;
        } else if ((unsigned char)*at < 0x20) {
            return fail(reader, at, "a control character in a string");
        } else {
            wide = true;
            at++;
        }
    }
    if (wide && !utf8_valid(str_from(begin, (size_t)(at - begin))))
        return fail(reader, begin, "a string that is not UTF-8");
    return at;
}

/* `at` is behind the opening quote. */
ALWAYS_INLINE const char *read_string(struct reader *reader, struct tape *tape, const char *begin) {
    uint32_t info = JSON_STRING;
    const char *at = scan_plain(begin, tape->end);
    if (at == tape->end || *at != '"') {
        uint32_t special;
        at = skip_special_string(reader, begin, at, &special);
        if (!at)
            return NULL;
        info = special;
    }
    tape_add(tape, info, begin, (size_t)(at - begin));
    return at + 1;
}

ALWAYS_INLINE const char *skip_digits(const struct tape *tape, const char *at) {
    while (!at_end(tape, at) && (unsigned char)(*at - '0') <= 9)
        at++;
    return at;
}

/* RFC 8259 section 6: [ minus ] int [ frac ] [ exp ]. */
ALWAYS_INLINE const char *read_number(struct reader *reader, struct tape *tape, const char *begin) {
    const char *at = begin + (*begin == '-'), *digits = at;
    uint32_t info = JSON_NUMBER;
    at = skip_digits(tape, at);
    bool good = at > digits && (*digits != '0' || at - digits == 1);
    if (!at_end(tape, at) && *at == '.') {
        info |= JSON_FRACTIONAL;
        digits = ++at;
        at = skip_digits(tape, at);
        good = good && at > digits;
    }
    if (!at_end(tape, at) && (*at | 0x20) == 'e') {
        info |= JSON_FRACTIONAL;
        at++;
        at += !at_end(tape, at) && (*at == '+' || *at == '-');
        digits = at;
        at = skip_digits(tape, at);
        good = good && at > digits;
    }
    if (!good)
        return fail(reader, begin, "a malformed number");
    tape_add(tape, info, begin, (size_t)(at - begin));
    return at;
}

/* How long a word is that may stand where a value is wanted, and its type; 0 if it is none. */
static size_t literal(struct str rest, enum json_type *ret_type) {
    static const struct {
        struct str word;
        enum json_type type;
    } literals[] = {{STR("true"), JSON_TRUE}, {STR("false"), JSON_FALSE}, {STR("null"), JSON_NULL}};
    for (size_t i = 0; i < COUNT_OF(literals); i++) {
        *ret_type = literals[i].type;
        if (str_starts(rest, literals[i].word))
            return literals[i].word.len;
    }
    return 0;
}

ALWAYS_INLINE const char *read_scalar(struct reader *reader, struct tape *tape, const char *at) {
    if (*at == '"')
        return read_string(reader, tape, at + 1);
    if (*at == '-' || (unsigned char)(*at - '0') <= 9)
        return read_number(reader, tape, at);
    enum json_type type;
    size_t len = literal(str_from(at, (size_t)(tape->end - at)), &type);
    if (len == 0)
        return fail(reader, at, "neither a value nor the end of one");
    tape_add(tape, type, at, len);
    return at + len;
}

ALWAYS_INLINE struct json_entry *innermost(struct tape *tape) {
    return &tape->entries[tape->container];
}

ALWAYS_INLINE bool is_keyed(const struct json_entry *container) {
    return json_entry_type(container) == JSON_OBJECT;
}

ALWAYS_INLINE char closing(const struct json_entry *container) {
    return is_keyed(container) ? '}' : ']';
}

ALWAYS_INLINE const char *open_container(struct reader *reader, struct tape *tape, const char *at,
                                         enum json_type type) {
    if (tape->depth == reader->depth_max) {
        fail(reader, at, "too many arrays or objects within one another");
        reader->result = ERR_TOO_LARGE;
        return NULL;
    }
    uint32_t index = tape->count;
    tape_add(tape, type, at, 0);
    tape->entries[index].next = tape->container;
    tape->container = index;
    tape->depth++;
    return at + 1;
}

/* `at` is on the closing bracket. */
ALWAYS_INLINE const char *close_container(struct tape *tape, const char *at) {
    struct json_entry *entry = innermost(tape);
    tape->container = entry->next;
    tape->depth--;
    entry->next = tape->count;
    entry->len = (uint32_t)((size_t)(at + 1 - tape->begin) - entry->at);
    return at + 1;
}

/* The key of a member and its colon. */
ALWAYS_INLINE const char *read_key(struct reader *reader, struct tape *tape, const char *at) {
    if (at_end(tape, at) || *at != '"') {
        at = skip_blank(tape, at);
        if (at_end(tape, at) || *at != '"')
            return fail(reader, at, "a member must begin with its name in quotes");
    }
    at = read_string(reader, tape, at + 1);
    if (!at)
        return NULL;
    if (at_end(tape, at) || *at != ':') {
        at = skip_blank(tape, at);
        if (at_end(tape, at) || *at != ':')
            return fail(reader, at, "a colon is missing");
    }
    return at + 1;
}

/* Opens what begins at `at`. Returns what follows, where a name must stand if *ret_named, or else a
 * value; *ret_empty: where its closing bracket stands. */
ALWAYS_INLINE const char *begin_container(struct reader *reader, struct tape *tape, const char *at,
                                          bool *ret_named, bool *ret_empty) {
    *ret_named = *at == '{';
    at = open_container(reader, tape, at, *ret_named ? JSON_OBJECT : JSON_ARRAY);
    if (!at)
        return NULL;
    at = skip_blank(tape, at);
    *ret_empty = !at_end(tape, at) && *at == (*ret_named ? '}' : ']');
    tape_reserve(tape, reader->json);
    return at;
}

/* One turn of the outer loop per value, of the inner one per container that ends behind it. A
 * container is asked for its closing bracket only when it opens and behind a value, so that "[1,]"
 * is none. */
ALWAYS_INLINE const char *read_values(struct reader *reader, const char *at, bool ends_in_bracket) {
    struct json *json = reader->json;
    const char *end = reader->end;
    struct tape tape = {.entries = json->entries,
                        .cap = (uint32_t)json->cap,
                        .container = NO_CONTAINER,
                        .begin = at,
                        .end = end,
                        .ends_in_bracket = ends_in_bracket};
    tape_reserve(&tape, json);
    for (bool named = false, empty = false;; empty = false) {
        at = named ? read_key(reader, &tape, at) : at;
        if (!at)
            return NULL;
        at = skip_blank(&tape, at);
        if (at_end(&tape, at))
            return fail(reader, at, "the text ends too early");
        bool opens = *at == '{' || *at == '[';
        at = opens ? begin_container(reader, &tape, at, &named, &empty)
                   : read_scalar(reader, &tape, at);
        if (!at)
            return NULL;
        if (opens && !empty)
            continue;
        at = empty ? close_container(&tape, at) : at;
        for (;;) { /* behind a value: all that ends here */
            if (tape.container == NO_CONTAINER) {
                json->count = tape.count;
                return at;
            }
            struct json_entry *container = innermost(&tape);
            container->info += JSON_ONE;
            if (at == end || *at != ',')
                at = at == end ? end : skip_blank(&tape, at);
            if (at == end)
                return fail(reader, at, "the text ends too early");
            if (*at == ',') {
                at++;
                named = is_keyed(container);
                tape_reserve(&tape, json);
                break;
            }
            if (*at != closing(container))
                return fail(reader, at, "a comma or a closing bracket is missing");
            at = close_container(&tape, at);
        }
    }
}

static const char *read_bracketed(struct reader *reader, const char *at) {
    return read_values(reader, at, true);
}

static const char *read_any(struct reader *reader, const char *at) {
    return read_values(reader, at, false);
}

int json_parse(struct json *json, struct str text) {
    struct reader reader = {.json = json,
                            .begin = text.at,
                            .depth_max = json->depth_max ? json->depth_max : JSON_DEPTH_MAX};
    size_t bytes_max = json->bytes_max ? json->bytes_max : JSON_BYTES_MAX;
    ASSERT(bytes_max <= JSON_BYTES_LIMIT);
    json->count = 0;
    json->text = text;
    json->error_at = 0;
    if (text.len > bytes_max) {
        json->error_text = "the text is too long";
        return ERR_TOO_LARGE;
    }
    if (text.len == 0) {
        json->error_text = "there is no text";
        return ERR_INVALID;
    }
    reader.end = text.at + text.len;
    while (reader.end > text.at + 1 && is_blank(reader.end[-1]))
        reader.end--;
    char last = reader.end[-1];
    const char *behind =
        last == '}' || last == ']' ? read_bracketed(&reader, text.at) : read_any(&reader, text.at);
    if (behind)
        while (behind < reader.end && is_blank(*behind))
            behind++;
    if (behind && behind < reader.end)
        fail(&reader, behind, "something follows the value");
    if (reader.result < 0)
        json->count = 0;
    return reader.result;
}
