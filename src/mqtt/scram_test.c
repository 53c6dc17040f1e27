#include "base/test.h"

#include "mqtt/scram.h"

/* The exchange of RFC 7677 section 3 has a server nonce that is no base64, so the vectors here were
 * calculated with Python's hashlib and hmac: password "pencil", salt and iterations of the RFC. */
static const char verifier[] = "$scram-sha-256$4096$W22ZaJ0SNY7soEsUEjb6gQ==$"
                               "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=$"
                               "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

static const struct scram_pretence pretence = {.key = {7}, .iterations = 4096};
static const uint8_t nonce[SCRAM_NONCE_BYTES] = "123456789012345678"; /* MTIzNDU2Nzg5MDEyMzQ1Njc4 */

static struct password_secret secret;
static struct buf out;
static struct scram *scram;

static int set_up(void **state) {
    assert_int_equal(password_read(verifier, &secret, NULL), 0);
    scram = NULL;
    return 0;
}

static int tear_down(void **state) {
    scram_free(scram);
    buf_done(&out);
    return 0;
}

#define PROOF               "T9VcMOUyOT3yMAfatMx2u/M5yfcxKwJbtKYEt2Q6XdI="
#define SIGNATURE           "/daPjRwco8aX9McEeEETv9NVkZAzljsUk6VFo8M9ea8="
#define FINAL_WITHOUT_PROOF "c=biws,r=rOprNGfwEbeRWgbNEkqOMTIzNDU2Nzg5MDEyMzQ1Njc4"

static void begin(const char *first, const struct password_secret *of) {
    assert_int_equal(scram_begin(str_of(first), &scram), 0);
    scram_challenge(scram, of, &pretence, nonce, &out);
}

static void the_right_proof_is_accepted(void **state) {
    begin("n,,n=user,r=rOprNGfwEbeRWgbNEkqO", &secret);
    assert_str(scram_user(scram), "user");
    assert_str(buf_str(&out), "r=rOprNGfwEbeRWgbNEkqOMTIzNDU2Nzg5MDEyMzQ1Njc4,"
                              "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    buf_clear(&out);
    assert_int_equal(scram_finish(scram, STR(FINAL_WITHOUT_PROOF ",p=" PROOF), &out), 0);
    assert_str(buf_str(&out), "v=" SIGNATURE);
}

static void a_wrong_proof_is_denied(void **state) {
    static const char *const proofs[] = {
        ",p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ",x=1,p=" PROOF, /* the proof of another message */
    };
    for (size_t i = 0; i < COUNT_OF(proofs); i++) {
        char final[256];
        begin("n,,n=user,r=rOprNGfwEbeRWgbNEkqO", &secret);
        snprintf(final, sizeof final, "%s%s", FINAL_WITHOUT_PROOF, proofs[i]);
        buf_clear(&out);
        assert_int_equal(scram_finish(scram, str_of(final), &out), ERR_DENIED);
        assert_int_equal(buf_len(&out), 0);
        tear_down(NULL);
    }
    scram = NULL;
}

/* Who does not exist, or has no verifier for SCRAM, is not told apart from the others, and is the
 * same each time. */
static void nobody_gets_in_without_a_verifier(void **state) {
    struct password_secret plain = secret;
    plain.is_scram = false;
    struct buf first = {0};
    begin("n,,n=user,r=rOprNGfwEbeRWgbNEkqO", NULL);
    assert_true(
        str_starts(buf_str(&out), STR("r=rOprNGfwEbeRWgbNEkqOMTIzNDU2Nzg5MDEyMzQ1Njc4,s=")));
    assert_non_null(memmem(buf_at(&out), buf_len(&out), ",i=4096", 7));
    buf_add_str(&first, buf_str(&out));
    assert_int_equal(scram_finish(scram, STR(FINAL_WITHOUT_PROOF ",p=" PROOF), &out), ERR_DENIED);
    tear_down(NULL);
    begin("n,,n=user,r=rOprNGfwEbeRWgbNEkqO", &plain);
    assert_true(str_eq(buf_str(&out), buf_str(&first)));
    assert_int_equal(scram_finish(scram, STR(FINAL_WITHOUT_PROOF ",p=" PROOF), &out), ERR_DENIED);
    buf_done(&first);
}

static void names_are_decoded(void **state) {
    begin("y,a==3D=2C,n==3D=2C,r=x", NULL);
    assert_str(scram_user(scram), "=,");
}

static void what_is_no_client_first_is_refused(void **state) {
    static const char *const bad[] = {"",
                                      "n",
                                      "n,",
                                      "n,,",
                                      "n,,n=user",
                                      "n,,r=x",
                                      "n,,n=,r=x",
                                      "n,,n=u,r=",
                                      "n,,n=u=,r=x",
                                      "n,,n=u=2D,r=x",
                                      "n,,n=u,r=a b",
                                      "p=tls-unique,,n=u,r=x",
                                      "n,a=other,n=u,r=x",
                                      "n,x,n=u,r=x",
                                      "n,,m=1,n=u,r=x",
                                      "x,,n=u,r=x"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(scram_begin(str_of(bad[i]), &scram), ERR_INVALID);
    struct buf large = {0};
    buf_printf(&large, "n,,n=u,r=%*d", SCRAM_MESSAGE_BYTES_MAX, 1);
    assert_int_equal(scram_begin(buf_str(&large), &scram), ERR_INVALID);
    buf_done(&large);
}

static void what_is_no_client_final_is_refused(void **state) {
    static const char *const bad[] = {
        "",
        FINAL_WITHOUT_PROOF,
        FINAL_WITHOUT_PROOF ",p=",
        FINAL_WITHOUT_PROOF ",p=AAAA",
        FINAL_WITHOUT_PROOF ",p=" PROOF ",",
        "c=eSws,r=rOprNGfwEbeRWgbNEkqOMTIzNDU2Nzg5MDEyMzQ1Njc4,p=" PROOF, /* y,, */
        "c=biws,r=rOprNGfwEbeRWgbNEkqO,p=" PROOF,                         /* half the nonce */
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        begin("n,,n=user,r=rOprNGfwEbeRWgbNEkqO", &secret);
        assert_int_equal(scram_finish(scram, str_of(bad[i]), &out), ERR_INVALID);
        tear_down(NULL);
    }
    scram = NULL;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_right_proof_is_accepted),        TEST(a_wrong_proof_is_denied),
        TEST(nobody_gets_in_without_a_verifier),  TEST(names_are_decoded),
        TEST(what_is_no_client_first_is_refused), TEST(what_is_no_client_final_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
