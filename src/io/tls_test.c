#include "base/test.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/file.h"
#include "io/test_certs.h"
#include "io/tls.h"

static char directory[] = "/tmp/weir-tls-XXXXXX";
static struct test_cert ca, other_ca, server_cert, renewed_cert, device_cert, stranger_cert;

/* Two ends joined in memory. */

struct ends {
    struct tls *server, *client;
    struct buf to_server, to_client;       /* on the wire */
    struct buf server_plain, client_plain; /* received */
    int server_failed, client_failed;
};

static struct ends join(struct tls_context *server, struct tls_context *client, const char *host) {
    struct ends ends = {.server = tls_new_server(server), .client = tls_new_client(client, host)};
    assert_int_equal(tls_start(ends.client, &ends.to_server), 0);
    assert_true(buf_len(&ends.to_server) > 0);
    return ends;
}

/* Moves what is on the wire in pieces of `piece` bytes until nothing is. */
static void exchange(struct ends *ends, size_t piece) {
    while (buf_len(&ends->to_server) || buf_len(&ends->to_client)) {
        size_t len = buf_len(&ends->to_server) < piece ? buf_len(&ends->to_server) : piece;
        if (len && !ends->server_failed)
            ends->server_failed = tls_feed(ends->server, buf_at(&ends->to_server), len,
                                           &ends->server_plain, &ends->to_client);
        buf_consume(&ends->to_server, len);
        len = buf_len(&ends->to_client) < piece ? buf_len(&ends->to_client) : piece;
        if (len && !ends->client_failed)
            ends->client_failed = tls_feed(ends->client, buf_at(&ends->to_client), len,
                                           &ends->client_plain, &ends->to_server);
        buf_consume(&ends->to_client, len);
    }
}

static void part(struct ends *ends) {
    tls_free(ends->server);
    tls_free(ends->client);
    buf_done(&ends->to_server);
    buf_done(&ends->to_client);
    buf_done(&ends->server_plain);
    buf_done(&ends->client_plain);
}

static struct tls_server_config server_config(void) {
    return (struct tls_server_config){.cert_path = server_cert.cert_path,
                                      .key_path = server_cert.key_path};
}

static struct tls_context *make_server(const struct tls_server_config *config) {
    struct tls_context *context = NULL;
    struct err err = {0};
    if (tls_server_context(config, &context, &err) != 0)
        fail_msg("%s", err.text);
    return context;
}

static struct tls_context *make_client(const struct test_cert *trusted,
                                       const struct test_cert *own) {
    struct tls_context *context = NULL;
    struct err err = {0};
    if (tls_client_context(trusted->cert_path, own ? own->cert_path : NULL,
                           own ? own->key_path : NULL, &context, &err) != 0)
        fail_msg("%s", err.text);
    return context;
}

static void talk(struct ends *ends, size_t piece) {
    assert_int_equal(tls_seal(ends->client, (const uint8_t *)"ping", 4, &ends->to_server), 0);
    exchange(ends, piece);
    assert_true(str_eq(buf_str(&ends->server_plain), STR("ping")));
    assert_int_equal(tls_seal(ends->server, (const uint8_t *)"pong!", 5, &ends->to_client), 0);
    exchange(ends, piece);
    assert_true(str_eq(buf_str(&ends->client_plain), STR("pong!")));
    assert_int_equal(ends->server_failed, 0);
    assert_int_equal(ends->client_failed, 0);
}

static void handshake_and_data_in_pieces_of(size_t piece) {
    struct tls_server_config config = server_config();
    struct tls_context *server = make_server(&config), *client = make_client(&ca, NULL);
    struct ends ends = join(server, client, "localhost");
    assert_false(tls_established(ends.server));
    exchange(&ends, piece);
    assert_true(tls_established(ends.server));
    assert_true(tls_established(ends.client));
    assert_string_equal(tls_error(ends.server), "no error");
    talk(&ends, piece);
    part(&ends);
    tls_context_free(server);
    tls_context_free(client);
}

static void a_connection_works_in_whole_flights(void **state) {
    handshake_and_data_in_pieces_of(1 << 20);
}

static void a_connection_works_byte_by_byte(void **state) {
    handshake_and_data_in_pieces_of(1);
}

static void much_data_in_one_call_arrives_whole(void **state) {
    enum { LEN = 300 * 1000 };
    struct tls_server_config config = server_config();
    struct tls_context *server = make_server(&config), *client = make_client(&ca, NULL);
    struct ends ends = join(server, client, "127.0.0.1");
    exchange(&ends, 1000);
    uint8_t *sent = xmalloc(LEN);
    for (int i = 0; i < LEN; i++)
        sent[i] = (uint8_t)(i * 31 >> 3);
    assert_int_equal(tls_seal(ends.client, sent, LEN, &ends.to_server), 0);
    exchange(&ends, 65536);
    assert_int_equal(buf_len(&ends.server_plain), LEN);
    assert_memory_equal(buf_at(&ends.server_plain), sent, LEN);
    free(sent);
    part(&ends);
    tls_context_free(server);
    tls_context_free(client);
}

static void the_end_is_announced(void **state) {
    struct tls_server_config config = server_config();
    struct tls_context *server = make_server(&config), *client = make_client(&ca, NULL);
    struct ends ends = join(server, client, "localhost");
    tls_finish(ends.client, &ends.to_client); /* Nothing yet: the handshake is not finished. */
    assert_int_equal(buf_len(&ends.to_client), 0);
    exchange(&ends, 100);
    assert_int_equal(tls_seal(ends.client, (const uint8_t *)"last", 4, &ends.to_server), 0);
    tls_finish(ends.client, &ends.to_server);
    size_t len = buf_len(&ends.to_server);
    tls_finish(ends.client, &ends.to_server);
    assert_int_equal(buf_len(&ends.to_server), len);
    exchange(&ends, 1 << 20);
    assert_int_equal(ends.server_failed, ERR_CLOSED);
    assert_true(str_eq(buf_str(&ends.server_plain), STR("last")));
    part(&ends);
    tls_context_free(server);
    tls_context_free(client);
}

static void a_server_that_cannot_prove_itself_is_refused(void **state) {
    struct tls_server_config config = server_config();
    struct tls_context *server = make_server(&config);
    struct tls_context *right = make_client(&ca, NULL), *wrong = make_client(&other_ca, NULL);
    struct {
        struct tls_context *client;
        const char *host, *error;
    } cases[] = {{wrong, "localhost", "unable to get local issuer certificate"},
                 {right, "elsewhere.example", "hostname mismatch"},
                 {right, "127.0.0.2", "IP address mismatch"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ends ends = join(server, cases[i].client, cases[i].host);
        exchange(&ends, 1 << 20);
        assert_int_equal(ends.client_failed, ERR_DENIED);
        assert_non_null(strstr(tls_error(ends.client), cases[i].error));
        assert_int_not_equal(ends.server_failed, 0); /* The alert came. */
        part(&ends);
    }
    tls_context_free(server);
    tls_context_free(right);
    tls_context_free(wrong);
}

static void what_is_not_tls_is_refused(void **state) {
    struct tls_server_config config = server_config();
    struct tls_context *server = make_server(&config);
    struct tls *tls = tls_new_server(server);
    struct buf plain = {0}, cipher = {0};
    const char *text = "GET / HTTP/1.1\r\n\r\n";
    assert_int_equal(tls_feed(tls, (const uint8_t *)text, strlen(text), &plain, &cipher),
                     ERR_INVALID);
    assert_non_null(strstr(tls_error(tls), "http request"));
    assert_int_equal(buf_len(&plain), 0);
    tls_free(tls);
    buf_done(&plain);
    buf_done(&cipher);
    tls_context_free(server);
}

static void a_damaged_record_ends_the_connection(void **state) {
    struct tls_server_config config = server_config();
    struct tls_context *server = make_server(&config), *client = make_client(&ca, NULL);
    struct ends ends = join(server, client, "localhost");
    exchange(&ends, 1 << 20);
    assert_int_equal(tls_seal(ends.client, (const uint8_t *)"secret", 6, &ends.to_server), 0);
    buf_at(&ends.to_server)[buf_len(&ends.to_server) - 1] ^= 1;
    exchange(&ends, 1 << 20);
    assert_int_equal(ends.server_failed, ERR_INVALID);
    assert_int_equal(buf_len(&ends.server_plain), 0);
    assert_int_not_equal(ends.client_failed, 0);
    part(&ends);
    tls_context_free(server);
    tls_context_free(client);
}

/* Client certificates. */

static bool admitted(struct tls_context *server, struct tls_context *client, bool ret_is_known[1],
                     struct tls_peer *peer) {
    struct ends ends = join(server, client, "localhost");
    exchange(&ends, 1 << 20);
    bool in = ends.server_failed == 0 && tls_established(ends.server);
    ret_is_known[0] = in && tls_peer(ends.server, peer);
    part(&ends);
    return in;
}

static void expected_fingerprint(const struct test_cert *cert, char ret_hex[65]) {
    unsigned char digest[32];
    unsigned size = sizeof digest;
    X509_digest(cert->cert, EVP_sha256(), digest, &size);
    for (int i = 0; i < 32; i++)
        snprintf(ret_hex + 2 * i, 3, "%02x", digest[i]);
}

static void client_certificates_are_optional_or_required_but_always_verified(void **state) {
    struct tls_server_config config = server_config();
    config.client_ca_path = ca.cert_path;
    struct tls_context *optional = make_server(&config);
    config.require_client_cert = true;
    struct tls_context *required = make_server(&config);
    struct tls_context *nobody = make_client(&ca, NULL), *device = make_client(&ca, &device_cert),
                       *stranger = make_client(&ca, &stranger_cert);
    struct tls_peer peer;
    char expected[65];
    bool known;
    assert_true(admitted(optional, nobody, &known, &peer));
    assert_false(known);
    assert_false(admitted(required, nobody, &known, &peer));
    assert_false(admitted(optional, stranger, &known, &peer));
    assert_false(admitted(required, stranger, &known, &peer));
    assert_true(admitted(optional, device, &known, &peer));
    assert_true(known);
    assert_true(admitted(required, device, &known, &peer));
    assert_true(known);
    assert_true(peer.verified);
    assert_string_equal(peer.common_name, "sensor-17");
    expected_fingerprint(&device_cert, expected);
    assert_string_equal(peer.fingerprint, expected);
    tls_context_free(optional);
    tls_context_free(required);
    tls_context_free(nobody);
    tls_context_free(device);
    tls_context_free(stranger);
}

static void unknown_certificates_can_be_left_to_the_owner(void **state) {
    struct tls_server_config config = server_config();
    config.accept_unknown_certs = config.require_client_cert = true;
    struct tls_context *without_ca = make_server(&config);
    config.client_ca_path = ca.cert_path;
    struct tls_context *with_ca = make_server(&config);
    struct tls_context *nobody = make_client(&ca, NULL), *device = make_client(&ca, &device_cert),
                       *stranger = make_client(&ca, &stranger_cert);
    struct tls_peer peer;
    bool known;
    assert_false(admitted(without_ca, nobody, &known, &peer));
    assert_true(admitted(without_ca, stranger, &known, &peer));
    assert_true(known && !peer.verified);
    assert_true(admitted(with_ca, stranger, &known, &peer));
    assert_true(known && !peer.verified);
    char expected[65];
    expected_fingerprint(&stranger_cert, expected);
    assert_string_equal(peer.fingerprint, expected);
    assert_true(admitted(with_ca, device, &known, &peer));
    assert_true(known && peer.verified);
    struct test_cert expired;
    test_cert_make_until(&expired, &ca, directory, "expired", NULL, -60);
    struct tls_context *late = make_client(&ca, &expired);
    assert_false(admitted(without_ca, late, &known, &peer));
    assert_false(admitted(with_ca, late, &known, &peer));
    test_cert_done(&expired);
    struct tls_context *all[] = {without_ca, with_ca, nobody, device, stranger, late};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        tls_context_free(all[i]);
}

static void a_certificate_has_a_fingerprint(void **state) {
    struct buf pem = {0};
    char found[65], expected[65];
    assert_int_equal(file_read_all(device_cert.cert_path, 1 << 20, &pem, NULL), 0);
    assert_int_equal(tls_fingerprint(buf_str(&pem), found), 0);
    expected_fingerprint(&device_cert, expected);
    assert_string_equal(found, expected);
    assert_int_equal(tls_fingerprint(STR("-----BEGIN CERTIFICATE-----\nAAAA\n"), found),
                     ERR_INVALID);
    assert_int_equal(tls_fingerprint((struct str){NULL, 0}, found), ERR_INVALID);
    buf_done(&pem);
}

/* Against a client of OpenSSL's own, with what tls_client_context() does not offer. */

struct foreign {
    SSL_CTX *context;
    SSL *ssl;
    BIO *in, *out;
};

static SSL_SESSION *kept_session;

static int keep_session(SSL *ssl, SSL_SESSION *session) {
    SSL_SESSION_free(kept_session);
    kept_session = session;
    return 1;
}

static struct foreign foreign_client(int version_max) {
    struct foreign foreign = {.context = SSL_CTX_new(TLS_client_method())};
    SSL_CTX_set_max_proto_version(foreign.context, version_max);
    SSL_CTX_set_min_proto_version(foreign.context, TLS1_VERSION);
    SSL_CTX_set_security_level(foreign.context, 0);
    SSL_CTX_set_session_cache_mode(foreign.context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(foreign.context, keep_session);
    SSL_CTX_use_certificate_file(foreign.context, device_cert.cert_path, SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(foreign.context, device_cert.key_path, SSL_FILETYPE_PEM);
    foreign.ssl = SSL_new(foreign.context);
    foreign.in = BIO_new(BIO_s_mem());
    foreign.out = BIO_new(BIO_s_mem());
    SSL_set_bio(foreign.ssl, foreign.in, foreign.out);
    SSL_set_connect_state(foreign.ssl);
    return foreign;
}

/* Runs the handshake and reads the tickets behind it. */
static int foreign_handshake(struct foreign *foreign, struct tls *server) {
    struct buf plain = {0}, cipher = {0};
    int failed = 0;
    for (int i = 0; i < 10; i++) {
        uint8_t piece[4096];
        int len =
            SSL_do_handshake(foreign->ssl) == 1 ? SSL_read(foreign->ssl, piece, sizeof piece) : 0;
        while ((len = BIO_read(foreign->out, piece, sizeof piece)) > 0)
            failed = failed ? failed : tls_feed(server, piece, (size_t)len, &plain, &cipher);
        BIO_write(foreign->in, buf_at(&cipher), (int)buf_len(&cipher));
        buf_clear(&cipher);
    }
    buf_done(&plain);
    buf_done(&cipher);
    return failed;
}

static void foreign_done(struct foreign *foreign) {
    /* OpenSSL does not resume a session whose connection ended without close_notify. */
    SSL_set_shutdown(foreign->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(foreign->ssl);
    SSL_CTX_free(foreign->context);
}

static void alpn_chooses_by_the_servers_preference(void **state) {
    static const char *const names[] = {"x-amzn-mqtt-ca", "mqtt", NULL};
    struct tls_server_config config = server_config();
    config.alpn = names;
    struct tls_context *server = make_server(&config);
    struct {
        const char *offer, *chosen;
        int failed;
    } cases[] = {{"\4mqtt\16x-amzn-mqtt-ca", "x-amzn-mqtt-ca", 0},
                 {"\2h2\4mqtt", "mqtt", 0},
                 {"\2h2", "", ERR_INVALID},
                 {NULL, "", 0}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct foreign foreign = foreign_client(TLS1_3_VERSION);
        struct tls *tls = tls_new_server(server);
        if (cases[i].offer)
            SSL_set_alpn_protos(foreign.ssl, (const unsigned char *)cases[i].offer,
                                (unsigned)strlen(cases[i].offer));
        assert_int_equal(foreign_handshake(&foreign, tls), cases[i].failed);
        const unsigned char *chosen;
        unsigned len;
        SSL_get0_alpn_selected(foreign.ssl, &chosen, &len);
        assert_str(str_from(chosen, len), cases[i].chosen);
        tls_free(tls);
        foreign_done(&foreign);
    }
    tls_context_free(server);
}

static void tls_1_2_is_the_least(void **state) {
    struct tls_server_config config = server_config();
    struct tls_context *server = make_server(&config);
    const int versions[] = {TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct foreign foreign = foreign_client(versions[i]);
        struct tls *tls = tls_new_server(server);
        int failed = foreign_handshake(&foreign, tls);
        assert_int_equal(failed != 0, versions[i] == TLS1_1_VERSION);
        assert_int_equal(tls_established(tls), versions[i] != TLS1_1_VERSION);
        tls_free(tls);
        foreign_done(&foreign);
    }
    tls_context_free(server);
}

/* Also tells whether the peer's certificate is known then. */
static bool resumes(struct tls_context *server, int version) {
    struct foreign foreign = foreign_client(version);
    struct tls *tls = tls_new_server(server);
    struct tls_peer peer;
    if (kept_session)
        SSL_set_session(foreign.ssl, kept_session);
    assert_int_equal(foreign_handshake(&foreign, tls), 0);
    assert_true(tls_established(tls));
    assert_true(tls_peer(tls, &peer) && peer.verified);
    assert_string_equal(peer.common_name, "sensor-17");
    bool resumed = SSL_session_reused(foreign.ssl);
    tls_free(tls);
    foreign_done(&foreign);
    return resumed;
}

static void sessions_resume_until_the_context_is_reloaded(void **state) {
    const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct tls_server_config config = server_config();
    config.client_ca_path = ca.cert_path;
    config.require_client_cert = true;
    struct tls_context *server = make_server(&config);
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        assert_false(resumes(server, versions[i]));
        assert_true(resumes(server, versions[i]));
        assert_int_equal(tls_context_reload(server, NULL), 0);
        assert_false(resumes(server, versions[i]));
        SSL_SESSION_free(kept_session);
        kept_session = NULL;
    }
    tls_context_free(server);
}

/* Reloading. */

static void copy_file(const char *from, const char *to) {
    struct buf content = {0};
    assert_int_equal(file_read_all(from, 1 << 20, &content, NULL), 0);
    assert_int_equal(file_write_atomic(to, buf_str(&content), NULL), 0);
    buf_done(&content);
}

static void a_reload_changes_the_certificate_for_new_connections_only(void **state) {
    char cert_path[256], key_path[256], expected[65];
    struct tls_peer peer;
    snprintf(cert_path, sizeof cert_path, "%s/live.pem", directory);
    snprintf(key_path, sizeof key_path, "%s/live.key", directory);
    copy_file(server_cert.cert_path, cert_path);
    copy_file(server_cert.key_path, key_path);
    struct tls_server_config config = {.cert_path = cert_path, .key_path = key_path};
    struct tls_context *server = make_server(&config), *client = make_client(&ca, NULL);
    struct ends old = join(server, client, "localhost");
    exchange(&old, 1 << 20);

    struct err err = {0};
    copy_file(renewed_cert.cert_path, cert_path);
    assert_int_equal(tls_context_reload(server, &err),
                     ERR_INVALID); /* The key is still the old one. */
    assert_non_null(strstr(err.text, key_path));
    struct ends same = join(server, client, "localhost");
    exchange(&same, 1 << 20);
    assert_true(tls_peer(same.client, &peer));
    expected_fingerprint(&server_cert, expected);
    assert_string_equal(peer.fingerprint, expected);

    copy_file(renewed_cert.key_path, key_path);
    assert_int_equal(tls_context_reload(server, &err), 0);
    struct ends fresh = join(server, client, "localhost");
    exchange(&fresh, 1 << 20);
    assert_true(tls_peer(fresh.client, &peer));
    expected_fingerprint(&renewed_cert, expected);
    assert_string_equal(peer.fingerprint, expected);
    talk(&old, 100);
    part(&old);
    part(&same);
    part(&fresh);
    tls_context_free(server);
    tls_context_free(client);
}

static void *connect_many(void *data) {
    struct tls_context *server = data, *client = make_client(&ca, NULL);
    for (int i = 0; i < 20; i++) {
        struct ends ends = join(server, client, "localhost");
        exchange(&ends, 1 << 20);
        talk(&ends, 1 << 20);
        part(&ends);
    }
    tls_context_free(client);
    return NULL;
}

static void reloading_while_other_threads_connect_is_safe(void **state) {
    struct tls_server_config config = server_config();
    struct tls_context *server = make_server(&config);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, connect_many, server);
    for (int i = 0; i < 30; i++)
        assert_int_equal(tls_context_reload(server, NULL), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    tls_context_free(server);
}

static void a_wrong_configuration_says_what_is_wrong(void **state) {
    char text_path[256], empty_path[256];
    snprintf(text_path, sizeof text_path, "%s/text.pem", directory);
    snprintf(empty_path, sizeof empty_path, "%s/nothing.pem", directory);
    file_write_atomic(text_path, STR("this is no certificate"), NULL);
    struct {
        struct tls_server_config config;
        int code;
        const char *text;
    } cases[] = {
        {{.cert_path = empty_path, .key_path = server_cert.key_path}, ERR_NOT_FOUND, "nothing.pem"},
        {{.cert_path = server_cert.cert_path, .key_path = empty_path},
         ERR_NOT_FOUND,
         "private key"},
        {{.cert_path = text_path, .key_path = server_cert.key_path}, ERR_INVALID, "text.pem"},
        {{.cert_path = server_cert.cert_path, .key_path = text_path}, ERR_INVALID, "private key"},
        {{.cert_path = server_cert.cert_path, .key_path = device_cert.key_path},
         ERR_INVALID,
         "mismatch"},
        {{.cert_path = server_cert.cert_path}, ERR_INVALID, "private key"},
        {{server_cert.cert_path, server_cert.key_path, text_path, false, NULL}, ERR_INVALID, "CA"},
        {{server_cert.cert_path, server_cert.key_path, NULL, true, NULL}, ERR_INVALID, "client CA"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct tls_context *context = NULL;
        struct err err = {0};
        assert_int_equal(tls_server_context(&cases[i].config, &context, &err), cases[i].code);
        assert_non_null(strstr(err.text, cases[i].text));
        assert_null(context);
    }
    struct tls_context *context = NULL;
    assert_int_equal(tls_client_context(empty_path, NULL, NULL, &context, NULL), ERR_NOT_FOUND);
    assert_int_equal(tls_client_context(NULL, device_cert.cert_path, NULL, &context, NULL),
                     ERR_INVALID);
    assert_int_equal(tls_client_context(NULL, NULL, NULL, &context, NULL), 0);
    tls_context_free(context);
    tls_context_free(NULL);
    tls_free(NULL);
}

static int make_certs(void **state) {
    if (!mkdtemp(directory))
        return -1;
    test_cert_make(&ca, NULL, directory, "ca", NULL);
    test_cert_make(&other_ca, NULL, directory, "other-ca", NULL);
    test_cert_make(&server_cert, &ca, directory, "server", "DNS:localhost,IP:127.0.0.1");
    test_cert_make(&renewed_cert, &ca, directory, "renewed", "DNS:localhost,IP:127.0.0.1");
    test_cert_make(&device_cert, &ca, directory, "sensor-17", NULL);
    test_cert_make(&stranger_cert, &other_ca, directory, "stranger", NULL);
    return 0;
}

static int remove_certs(void **state) {
    struct test_cert *certs[] = {&ca,           &other_ca,    &server_cert,
                                 &renewed_cert, &device_cert, &stranger_cert};
    for (size_t i = 0; i < COUNT_OF(certs); i++)
        test_cert_done(certs[i]);
    return file_remove_tree(directory, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_works_in_whole_flights),
        cmocka_unit_test(a_connection_works_byte_by_byte),
        cmocka_unit_test(much_data_in_one_call_arrives_whole),
        cmocka_unit_test(the_end_is_announced),
        cmocka_unit_test(a_server_that_cannot_prove_itself_is_refused),
        cmocka_unit_test(what_is_not_tls_is_refused),
        cmocka_unit_test(a_damaged_record_ends_the_connection),
        cmocka_unit_test(client_certificates_are_optional_or_required_but_always_verified),
        cmocka_unit_test(unknown_certificates_can_be_left_to_the_owner),
        cmocka_unit_test(a_certificate_has_a_fingerprint),
        cmocka_unit_test(alpn_chooses_by_the_servers_preference),
        cmocka_unit_test(tls_1_2_is_the_least),
        cmocka_unit_test(sessions_resume_until_the_context_is_reloaded),
        cmocka_unit_test(a_reload_changes_the_certificate_for_new_connections_only),
        cmocka_unit_test(reloading_while_other_threads_connect_is_safe),
        cmocka_unit_test(a_wrong_configuration_says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, make_certs, remove_certs);
}
