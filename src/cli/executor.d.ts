/**
 * The import of the executor in bin.ts, for the compiler: a file that is embedded is known by its path.
 */
declare module "*/build/executor" {
  const path: string
  export default path
}
