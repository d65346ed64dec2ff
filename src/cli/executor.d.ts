/**
 * The imports of the executor and of the image `hello` in bin.ts, for the compiler: a file that is embedded is known by its path.
 */
declare module "*/build/hello" {
  const path: string
  export default path
}
declare module "*/build/executor" {
  const path: string
  export default path
}
