#include "http/upgrade.h"

#include <openssl/evp.h>

#include "base/base64.h"
#include "http/answer.h"

enum { KEY_BYTES = 16 };

static bool has_token(struct str list, struct str token) {
    while (list.len)
        if (str_eq_nocase(str_trim(str_cut(list, ',', &list)), token))
            return true;
    return false;
}

static bool is_offered(const struct http_request *request, const char *subprotocol) {
    for (size_t i = 0; i < request->header_count; i++)
        if (str_eq_nocase(request->headers[i].name, STR("Sec-WebSocket-Protocol")) &&
            has_token(request->headers[i].value, str_of(subprotocol)))
            return true;
    return false;
}

static bool is_key(struct str key) {
    struct buf bytes = {0};
    bool fine = base64_read(&bytes, key) && buf_len(&bytes) == KEY_BYTES;
    buf_done(&bytes);
    return fine;
}

static int refuse(int status, const char *why, const char **ret_why) {
    *ret_why = why;
    return status;
}

int upgrade_check(const struct exchange *exchange, const char *subprotocol, const char **ret_why) {
    const struct http_request *request = &exchange->request;
    if (!exchange->is_upgrade || !has_token(http_header(request, "Upgrade"), STR("websocket")))
        return refuse(426, "This address speaks WebSocket.\n", ret_why);
    if (!str_eq(http_header(request, "Sec-WebSocket-Version"), STR("13")))
        return refuse(426, "Only WebSocket version 13 is spoken here.\n", ret_why);
    if (!str_eq(request->method, STR("GET")) || request->body.len || request->is_too_large ||
        !is_key(http_header(request, "Sec-WebSocket-Key")))
        return refuse(400, "This is no proper WebSocket handshake.\n", ret_why);
    if (subprotocol && !is_offered(request, subprotocol))
        return refuse(400, "The subprotocol of this address is not among those offered.\n",
                      ret_why);
    return 0;
}

/* Section 4.2.2, point 5, item 4: base64 of the SHA-1 of the key and a constant. */
static void add_accept_value(struct buf *out, struct str key) {
    struct buf text = {0};
    buf_add_str(&text, key);
    buf_add_str(&text, STR("258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    uint8_t hash[20];
    int fine = EVP_Digest(buf_at(&text), buf_len(&text), hash, NULL, EVP_sha1(), NULL);
    ASSERT(fine);
    base64_write(out, str_from(hash, sizeof hash));
    buf_done(&text);
}

void upgrade_answer(const struct http_request *request, const char *subprotocol, const char *date,
                    struct buf *out) {
    struct buf accept = {0};
    add_accept_value(&accept, http_header(request, "Sec-WebSocket-Key"));
    const struct http_header extra[] = {
        {STR("Upgrade"), STR("websocket")},
        {STR("Connection"), STR("Upgrade")},
        {STR("Sec-WebSocket-Accept"), buf_str(&accept)},
        {STR("Sec-WebSocket-Protocol"), str_of(subprotocol)},
    };
    const struct answer_head head = {
        .status = 101, .date = date, .extra = extra, .extra_count = subprotocol ? 4 : 3};
    answer_write_head(out, &head);
    buf_done(&accept);
}
