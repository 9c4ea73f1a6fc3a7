// A table of the functions of OpenSSL's libcrypto that this package calls, filled at run time, so that the
// package builds where the library's headers are absent. They are the same in releases 1.1.1 and 3.
#ifndef STREAMFLOW_LIBCRYPTO_FUNCTIONS_H
#define STREAMFLOW_LIBCRYPTO_FUNCTIONS_H

#include <stddef.h>

#ifdef __clang__
// Only the table's own members are annotated: a loaded table has no empty place.
#pragma clang diagnostic ignored "-Wnullability-completeness"
#else
#define _Nonnull
#define _Nullable
#endif

typedef struct evp_md_ctx_st EVP_MD_CTX;
typedef struct evp_md_st EVP_MD;
typedef struct evp_pkey_st EVP_PKEY;
typedef struct engine_st ENGINE;

enum {
  /// EVP_PKEY_ED25519 of OpenSSL's <openssl/evp.h>.
  CLIBCRYPTO_ED25519 = 1087,
  /// EVP_MAX_MD_SIZE, in bytes.
  CLIBCRYPTO_DIGEST_SIZE_LIMIT = 64,
};

// FUNCTION(result, name, parameters)
#define CLIBCRYPTO_FUNCTIONS(FUNCTION)                                                             \
  FUNCTION(EVP_MD_CTX *, EVP_MD_CTX_new, (void))                                                   \
  FUNCTION(void, EVP_MD_CTX_free, (EVP_MD_CTX * context))                                          \
  FUNCTION(int, EVP_MD_CTX_copy_ex, (EVP_MD_CTX * copy, const EVP_MD_CTX *context))                \
  FUNCTION(const EVP_MD *, EVP_sha256, (void))                                                     \
  FUNCTION(const EVP_MD *, EVP_sha1, (void))                                                       \
  FUNCTION(int, EVP_DigestInit_ex, (EVP_MD_CTX * context, const EVP_MD *kind, ENGINE *engine))     \
  FUNCTION(int, EVP_DigestUpdate, (EVP_MD_CTX * context, const void *bytes, size_t count))         \
  FUNCTION(int, EVP_DigestFinal_ex,                                                                \
           (EVP_MD_CTX * context, unsigned char *digest, unsigned int *count))                     \
  FUNCTION(EVP_PKEY *, EVP_PKEY_new_raw_private_key,                                               \
           (int kind, ENGINE *engine, const unsigned char *bytes, size_t count))                   \
  FUNCTION(int, EVP_PKEY_get_raw_public_key,                                                       \
           (const EVP_PKEY *key, unsigned char *bytes, size_t *count))                             \
  FUNCTION(void, EVP_PKEY_free, (EVP_PKEY * key))

#define CLIBCRYPTO_DECLARE(result, name, parameters) result(*_Nonnull name) parameters;
typedef struct {
  CLIBCRYPTO_FUNCTIONS(CLIBCRYPTO_DECLARE)
} libcrypto_functions;
#undef CLIBCRYPTO_DECLARE

/// Loads the library and fills the table.
///
/// Returns 1, or 0 with the loader's message in `text`.
int libcrypto_load(const char *_Nonnull path, libcrypto_functions *_Nonnull table,
                   const char *_Nullable *_Nonnull text);

#endif
