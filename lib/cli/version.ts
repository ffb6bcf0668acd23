/**
 * The version of this program. Written down here because the program is delivered as one file, without the
 * package.json beside it; a test holds the two together.
 */
export const version = '0.1.0';
