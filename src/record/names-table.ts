/**
 * The words of random names (names.ts). Neither list may shrink to nothing; otherwise they are free to change.
 */

// biome-ignore format: a list of words reads as a paragraph
export const ADJECTIVES = [
  "able", "agile", "amber", "ample", "apt", "balanced", "blithe", "bold", "brave", "bright", "brisk", "calm",
  "candid", "careful", "cheerful", "clear", "clever", "cosmic", "courteous", "curious", "daring", "deft", "eager",
  "earnest", "elated", "exact", "fair", "fearless", "fluent", "fond", "frank", "gentle", "glad", "graceful", "handy",
  "honest", "humble", "inventive", "jolly", "keen", "kind", "lively", "lucid", "mellow", "merry", "modest", "nimble",
  "noble", "patient", "pensive", "placid", "polite", "quick", "quiet", "rapid", "serene", "sharp", "sincere", "spry",
  "steady", "sturdy", "sunny", "swift", "tidy", "upbeat", "valiant", "vivid", "warm", "wise", "witty", "zealous",
] as const

// biome-ignore format: a list of words reads as a paragraph
export const SURNAMES = [
  "abel", "aiken", "alhazen", "anning", "archimedes", "avogadro", "babbage", "bell", "bernoulli", "bhabha", "bohr",
  "boole", "bose", "boyle", "brahmagupta", "cantor", "carson", "celsius", "chandrasekhar", "copernicus", "curie",
  "darwin", "dijkstra", "dirac", "einstein", "euclid", "euler", "faraday", "fermat", "fermi", "feynman", "fibonacci",
  "franklin", "galileo", "galois", "gauss", "germain", "goodall", "hamilton", "hawking", "heisenberg", "herschel",
  "hertz", "hilbert", "hodgkin", "hooke", "hopper", "hypatia", "jemison", "johnson", "joliot", "joule", "kepler",
  "khayyam", "knuth", "kovalevskaya", "lamarr", "lavoisier", "leavitt", "leibniz", "linnaeus", "lovelace", "maxwell",
  "mcclintock", "meitner", "mendel", "mendeleev", "mirzakhani", "newton", "nobel", "noether", "ohm", "pascal",
  "pasteur", "pauli", "payne", "planck", "poincare", "ptolemy", "raman", "ramanujan", "ride", "ritchie", "rubin",
  "rutherford", "sagan", "sanger", "shannon", "somerville", "tesla", "thompson", "torvalds", "turing", "volta",
  "wilson", "wu", "yalow", "yonath",
] as const
