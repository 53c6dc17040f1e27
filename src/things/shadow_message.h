/*
 * What the topics of a shadow tell (AWS IoT Core Developer Guide, "Device Shadow MQTT topics" and
 * "Response state documents"), made of what is kept (shadow_document.h). `token` is the clientToken
 * as it stands in the request's JSON, with its quotes; empty: none.
 */
#ifndef THINGS_SHADOW_MESSAGE_H
#define THINGS_SHADOW_MESSAGE_H

#include "base/buf.h"
#include "base/err.h"

/* Appends the clientToken of a request, if it has one. INVALID: it is no JSON object, or its token is
 * none; TOO_LARGE; UNSUPPORTED (no UTF-8). */
int shadow_message_token(struct str request, struct buf *ret_token, struct err *err);

/* /update/documents: what was kept before (empty: nothing) and what is kept now. */
void shadow_message_documents(struct str old, struct str fresh, uint64_t now_s, struct str token,
                              struct buf *out);

/* /update/delta; false if what is desired is reported. */
bool shadow_message_delta(struct str kept, uint64_t now_s, struct str token, struct buf *out);

/* /delete/accepted, and what DeleteThingShadow answers. */
void shadow_message_deleted(int64_t version, uint64_t now_s, struct str token, struct buf *out);

/* .../rejected; `number` is that of HTTP. */
void shadow_message_rejected(unsigned number, struct str message, uint64_t now_s, struct str token,
                             struct buf *out);

#endif
