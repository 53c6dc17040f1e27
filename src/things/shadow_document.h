/*
 * Shadow documents (AWS IoT Core Developer Guide, "Device Shadow service documents"): what an
 * update makes of one. Nothing here knows of things, disks or HTTP.
 *
 * What is kept of a shadow is what GetThingShadow answers, without the time of the answer:
 *
 *      {"version":N,"state":{"desired":{..},"reported":{..},"delta":{..}},"metadata":{..}}
 *
 * and of a deleted one, for SHADOW_REMEMBERED_S, only {"version":N,"deleted":SECONDS}: a shadow
 * that is made anew meanwhile goes on counting.
 */
#ifndef THINGS_SHADOW_DOCUMENT_H
#define THINGS_SHADOW_DOCUMENT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

enum {
    SHADOW_STATE_BYTES_MAX = 8192, /* desired and reported; metadata does not count */
    SHADOW_REQUEST_BYTES_MAX = 8192 + 512,
    SHADOW_DEPTH_MAX = 8, /* objects and arrays within desired and reported */
    SHADOW_TOKEN_BYTES_MAX = 64,
    SHADOW_REMEMBERED_S = 48 * 3600,
};

/*
 * Applies UpdateThingShadow's `request` to what is `kept` (empty: nothing). `ret_kept` gets what is
 * to be kept, `ret_accepted` what is answered; both are appended to. INVALID; UNSUPPORTED (no
 * UTF-8); TOO_LARGE; EXISTS for a version that is not the present one, each with AWS's sentence in
 * `err`; CORRUPT if `kept` is no document.
 */
int shadow_document_update(struct str kept, struct str request, uint64_t now_s,
                           struct buf *ret_kept, struct buf *ret_accepted, struct err *err);

/* Appends what GetThingShadow answers; false as above. `token`, here and below: the clientToken as it
 * stands in the request's JSON, with its quotes; empty: none. */
bool shadow_document_show(struct str kept, uint64_t now_s, struct str token, struct buf *out);

/* What is kept of it when it is deleted; `ret_version` is the version that it had. NOT_FOUND if
 * there is none or it was deleted before; CORRUPT. */
int shadow_document_delete(struct str kept, uint64_t now_s, struct buf *ret_kept,
                           int64_t *ret_version);

/* The raw text of `clientToken`, empty if there is none; false if it is no token. */
bool shadow_document_read_token(struct json_value request, struct str *ret_token);

/* Appends what ends all documents: the time, the token, and the bracket. */
void shadow_document_end(struct buf *out, uint64_t now_s, struct str token);

/* ---- deleted ones ---- */

/* Whether it was deleted, and when. */
bool shadow_document_deleted(struct str kept, int64_t *ret_deleted_s);

/* Whether it was deleted, and so long ago that its version need not be known any more. */
bool shadow_document_forgotten(struct str kept, uint64_t now_s);

#endif
