#include "delivery/ledger.h"

#include "base/base64.h"
#include "base/log.h"

/* A note is text, and Kafka takes 4096 bytes of it by default: an intent has about 1100 at most. */
static int note_down(struct ledger *ledger, const struct intent *intent, uint64_t counter,
                     struct err *err) {
    struct buf bytes = {0}, text = {0};
    if (intent)
        intent_encode(&bytes, intent);
    base64_write(&text, buf_str(&bytes));
    int code = stream_member_note(ledger->member, ledger->shard, counter, buf_str(&text),
                                  ledger->done, ledger->data);
    buf_done(&bytes);
    buf_done(&text);
    return code ? err_set(err, code, "%s", err_text(code)) : ERR_AGAIN;
}

int ledger_record(struct ledger *ledger, const struct intent *intent, struct err *err) {
    if (ledger->member)
        return note_down(ledger, intent, intent->first, err);
    return intent_set(ledger->facts, ledger->name, intent, err);
}

int ledger_commit(struct ledger *ledger, const struct intent *intent, struct err *err) {
    if (ledger->member)
        return note_down(ledger, NULL, intent->end, err);
    return intent_commit(ledger->facts, ledger->stream, ledger->name, intent, err);
}

void ledger_forget(struct ledger *ledger) {
    stream_member_forget_note(ledger->member, ledger->shard);
}

int ledger_read_note(struct str text, struct intent *ret_intent) {
    struct buf bytes = {0};
    if (!text.len)
        return ERR_NOT_FOUND;
    int code = base64_read(&bytes, text) ? intent_decode(buf_str(&bytes), ret_intent) : ERR_CORRUPT;
    buf_done(&bytes);
    return code;
}

/* An intent of a stream that was removed since, or of a range that is behind us, says nothing. */
static bool is_current(const struct ledger *ledger, const struct intent *intent, uint64_t counter) {
    return intent->stream_created_s == stream_created_s(ledger->stream) &&
           intent->shard == ledger->shard && intent->end > counter;
}

int ledger_unfinished(struct ledger *ledger, struct str note, uint64_t counter,
                      struct intent *ret_intent, struct err *err) {
    int code = ledger->member ? ledger_read_note(note, ret_intent)
                              : intent_get(ledger->facts, ledger->name, ret_intent);
    if (code == ERR_NOT_FOUND)
        return code;
    if (code)
        return err_set(err, code,
                       "delivery stream %s: what it was about to write cannot be read: %s",
                       ledger->name, err_text(code));
    if (is_current(ledger, ret_intent, counter))
        return 0;
    log_warn("delivery", "%s: what it was about to write is not in this stream any more",
             ledger->name);
    intent_done(ret_intent);
    return ERR_NOT_FOUND;
}
