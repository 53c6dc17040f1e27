#include "delivery/ledger.h"

#include "base/base64.h"

/* A note is text, and Kafka takes 4096 bytes of it by default: an intent has about 1100 at most. */
static int note(struct ledger *ledger, const struct intent *intent, uint64_t counter,
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
        return note(ledger, intent, intent->first, err);
    return intent_set(ledger->facts, ledger->name, intent, err);
}

int ledger_commit(struct ledger *ledger, const struct intent *intent, struct err *err) {
    if (ledger->member)
        return note(ledger, NULL, intent->end, err);
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
