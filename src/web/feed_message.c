/*
 *     {"latest": "...", "count": "12", "updated": "2026-11-23T06:15:00.123Z"}
 *
 *     latest         null when there is none. Bytes that are not UTF-8 become U+FFFD, and then
 *     latest_base64  is there too, with all of them
 *     count          "0" when absent; null when it is no count (somebody else's key)
 *     updated        null when no change was heard of yet
 */
#include "web/feed_message.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/json_write.h"
#include "base/utf8.h"

/* Not in the middle of a character, so that cutting makes no text binary. */
static struct str cut(struct str latest) {
    if (latest.len <= FEED_LATEST_BYTES_MAX)
        return latest;
    size_t len = FEED_LATEST_BYTES_MAX;
    for (int i = 0; i < 3 && ((unsigned char)latest.at[len] & 0xc0) == 0x80; i++)
        len--;
    return str_from(latest.at, len);
}

static void add_latest(struct buf *out, struct str latest) {
    json_write_key(out, "latest");
    if (!latest.at) {
        buf_add_str(out, STR("null"));
        return;
    }
    json_write_string(out, latest);
    if (utf8_valid(latest))
        return;
    json_write_key(out, "latest_base64");
    buf_add_u8(out, '"');
    base64_write(out, latest);
    buf_add_u8(out, '"');
}

static bool is_count(struct str count) {
    for (size_t i = 0; i < count.len; i++)
        if (count.at[i] < '0' || count.at[i] > '9')
            return false;
    return count.len > 0 && count.len <= FEED_COUNT_DIGITS_MAX;
}

static void add_count(struct buf *out, struct str count) {
    json_write_key(out, "count");
    if (!count.at)
        count = STR("0");
    if (is_count(count))
        buf_printf(out, "\"%.*s\"", STR_ARG(count));
    else
        buf_add_str(out, STR("null"));
}

static void add_updated(struct buf *out, uint64_t updated_ms) {
    char text[CLOCK_RFC3339_BYTES];
    json_write_key(out, "updated");
    clock_rfc3339(updated_ms, text);
    buf_printf(out, updated_ms ? "\"%s\"" : "null", text);
}

void web_feed_message(struct buf *out, struct str latest, struct str count, uint64_t updated_ms) {
    buf_add_u8(out, '{');
    add_latest(out, cut(latest));
    add_count(out, count);
    add_updated(out, updated_ms);
    buf_add_u8(out, '}');
}
