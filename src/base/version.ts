/**
 * The version of MiniContainer, as `minicontainer version` prints it and records carry it. package.json says the same;
 * test/tidy/files.test.ts holds the two together. What follows from a version is in CHANGELOG.md.
 */

export const VERSION = "0.1.0"
