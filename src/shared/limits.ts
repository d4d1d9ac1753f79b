/** Sizes of texts that people give, in bytes of UTF-8: known to the CLI without the schemas of contracts/. */

/** A maintenance page. */
export const maxPageBytes = 256 * 1024;
/** Configuration of an app's own for nginx. */
export const maxSnippetBytes = 64 * 1024;
