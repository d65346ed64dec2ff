import { expect, test } from "bun:test"
import { EngineError } from "../../base/errors.ts"
import { template, withMaps } from "./template.ts"

const WEB = withMaps({
  Name: "/web",
  State: { Status: "running", Pid: 3, Dead: false },
  Config: { Labels: { a: "b", z: "y" }, Env: ["A=b", "C=d"], Entrypoint: null, User: "" },
  Mounts: [
    { Source: "/a", Destination: "/b" },
    { Source: "/c", Destination: "/d" },
  ],
  Size: 1.5,
  Label: (key: unknown) => `label ${key}`,
})

/** What Docker 28 prints for the same, tried. */
const check = (source: string, expected: string) => test(source, () => expect(template(source)(WEB)).toBe(expected))
const fails = (source: string, message: string, hint?: string) =>
  test(`${source} fails`, () => {
    let error: unknown
    try {
      template(source)(WEB)
    } catch (caught) {
      error = caught
    }
    expect(error).toBeInstanceOf(EngineError)
    expect((error as EngineError).message).toBe(`cannot use the template: ${message}`)
    expect((error as EngineError).hint).toBe(hint)
  })

// Values.
check("plain", "plain")
check("{{.Name}} is {{.State.Status}}", "/web is running")
check("{{.State.Pid}} {{.Size}} {{.State.Dead}}", "3 1.5 false")
check("{{.Config.Env}}", "[A=b C=d]")
check("{{.Config.Labels}}", "map[a:b z:y]")
check("{{.Config.Entrypoint}}", "<no value>")
check("{{.Config.Labels.a}} {{.Config.Labels.x}}", "b <no value>")
check('{{index .Config.Labels "a"}}|{{index .Config.Labels "x"}}|', "b||")
check("{{index .Config.Env 1}}", "C=d")
check("{{(index .Mounts 1).Source}}", "/c")
check('{{.Label "key"}}', "label key")
check("{{$.Name}}", "/web")
check('{{"a\\tb\\u00e9\\""}}{{`raw\\n`}}{{\'x\'}}', 'a\tbé"raw\\n120')
check("{{-3}} {{1.5}} {{0x10}} {{true}}", "-3 1.5 16 true")
check('{{"}}"}}', "}}")

// Blanks and comments.
check("a {{- .State.Pid -}} b", "a3b")
check("a {{- /* no */ -}} b{{/* no */}}c", "abc")
check("{{ .Name }}\n", "/web\n")

// Blocks.
check("{{if .State.Dead}}dead{{else}}alive{{end}}", "alive")
check("{{if .State.Dead}}1{{else if .State.Pid}}2{{else}}3{{end}}", "2")
check("{{if .Config.User}}1{{end}}{{if .Mounts}}2{{end}}{{if .Config.Entrypoint}}3{{end}}", "2")
check("{{with .State}}{{.Status}} of {{$.Name}}{{end}}", "running of /web")
check("{{with .Config.User}}{{.}}{{else}}{{.Name}}{{end}}", "/web")
check("{{with $s := .State}}{{$s.Pid}}{{end}}", "3")
check("{{range .Mounts}}{{.Source}}:{{.Destination}} {{end}}", "/a:/b /c:/d ")
check("{{range $i, $e := .Config.Env}}{{$i}}={{$e}};{{end}}", "0=A=b;1=C=d;")
check("{{range $k, $v := .Config.Labels}}{{$k}}{{$v}} {{end}}", "ab zy ")
check("{{range .Config.Entrypoint}}x{{else}}none{{end}}", "none")
check("{{range .Config.Env}}{{.}}{{break}}{{end}}", "A=b")
check('{{range .Config.Env}}{{if eq . "A=b"}}{{continue}}{{end}}{{.}}{{end}}', "C=d")
check("{{$n := 1}}{{range .Config.Env}}{{$n = 2}}{{end}}{{$n}}", "2")

// Functions.
check('{{.Name | upper}} {{lower "AB"}} {{title "hello world-x"}}', "/WEB ab Hello World-X")
check('{{split "a,b" ","}} {{join .Config.Env ","}}', "[a b] A=b,C=d")
check("{{json .Config.Labels}} {{json .Config.Entrypoint}} {{json .Name}}", '{"a":"b","z":"y"} null "/web"')
check("{{json .Mounts}}", '[{"Source":"/a","Destination":"/b"},{"Source":"/c","Destination":"/d"}]')
check("{{len .Mounts}} {{len .Config.Labels}} {{len .Name}}", "2 2 4")
check('{{pad "x" 2 3}}|{{truncate "abcdef" 3}}|{{slice "abcdef" 1 3}}', "  x   |abc|bc")
check("{{println .Name 1 2}}", "/web 1 2\n")
check('{{print 1 2 "a" 3}}', "1 2a3")
check('{{printf "%5d|%-5s|%q|%.2f|%%|%v" 3 "a" "b" 1.005 .Config.Env}}', '    3|a    |"b"|1.00|%|[A=b C=d]')
check('{{eq .State.Status "a" "running"}} {{ne 1 2}} {{lt 1 2}} {{ge "b" "a"}}', "true true true true")
check("{{and .State.Pid .Config.User}}|{{or .Config.User .Name}}|{{not .State.Dead}}", "|/web|true")
check("{{if and (eq .State.Pid 3) (not .State.Dead)}}up{{end}}", "up")
check("{{or 1 .Nope}}", "1")

// What is wrong, and where.
fails("{{.Foo}}", "there is no field Foo (column 3)", "there are Name, State, Config, Mounts, Size, Label")
fails("{{.Nam}}", "there is no field Nam (column 3)", "did you mean Name?")
fails("a\nb {{.State.Foo}}", "there is no field Foo (line 2, column 5)", "there are Status, Pid, Dead")
fails("{{.Config.Entrypoint.X}}", "there is nothing that .X could be taken of (column 3)")
fails("{{.Name.X}}", '"/web" has no field X (column 3)')
fails("{{.Name", "an action is not closed (column 1)", "end it with }}")
fails("{{if .Name}}x", "a block is not ended (column 1)", "end it with {{end}}")
fails("x{{end}}", "end ends no block (column 2)")
fails("{{}}", "an action is empty (column 1)")
fails("{{uper .Name}}", "there is no function uper (column 3)", "did you mean upper?")
fails("{{upper .State}}", "upper: it takes a string, not {running 3 false} (column 3)")
fails("{{upper}}", "upper needs 1 argument, not 0 (column 3)")
fails('{{eq 1 "a"}}', "eq: 1 and a are of different kinds (column 3)")
fails("{{index .Config.Env 9}}", "index: index 9 is out of range, the list has 2 (column 3)")
fails("{{.Name 1}}", "a value that is no function has arguments (column 3)")
fails("{{$x}}", "there is no variable $x (column 3)")
fails('{{"abc}}', "a string is not closed (column 3)")
fails("{{.Name | }}", "a value is missing (column 1)")
fails("{{(.Name}}", "a parenthesis is not closed (column 3)")
fails("{{.Name ; 1}}", '";" means nothing here (column 9)')
fails("{{range .Name}}{{end}}", "range cannot go over /web (column 9)")
fails('{{define "a"}}{{end}}', "define cannot be used: there is one template only (column 1)")

test("names that are in every object of JavaScript are no fields", () => {
  expect(() => template("{{.constructor}}")(WEB)).toThrow("there is no field constructor")
  expect(() => template("{{constructor}}")(WEB)).toThrow("there is no function constructor")
})
