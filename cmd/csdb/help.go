package main

// description is what the help says about the program as a whole.
const description = `
csdb shows what is in a container store and checks whether everything is
whole. That needs no graph driver and no right to write, so it works on a store
that is in use, on a copy, and on a medium that can only be read. Only repair,
restore, rescue, compact, gc, lease and db change anything, and say what. Objects are named by their ID, the beginning of it, or a name.

Exit statuses:

  0   done; fsck: nothing is wrong
  1   the command line is wrong, there is no such object, or the program has
      failed or was interrupted
  2   something in the store is damaged
  3   fsck: nothing is damaged, but something is to be repaired; du --verify: a
      size differs
  4   the store cannot be read; fsck: not everything could be checked
  5   a program kept the store locked for longer than --timeout

An interrupt ends a command at any time: what it was asked for is done then, or
the store is as it was. But what gc has removed is gone, and what repair has done
is for "csdb repair --undo" to take back. "csdb top" and "csdb log --follow" are
ended like this, and then the status is 0. On a terminal, what takes long shows
how far it has come.

Examples:

  csdb ls images
  csdb inspect docker.io/library/app:1
  csdb --root /mnt/copy fsck
  csdb --json du`

// appHelp and commandHelp are templates of urfave/cli for the help.
const appHelp = `{{.Name}} - {{.Usage}}

usage: {{.Name}} [flags] command [flags] [arguments]

{{.Description}}

Commands:
{{range .VisibleCommands}}
  {{printf "%-12s" .Name}}{{.Usage}}{{end}}

Flags:
{{range .VisibleFlags}}
  {{.}}{{end}}
`

const commandHelp = `csdb {{.Name}} - {{.Usage}}

usage: csdb [flags] {{.Name}}{{if .VisibleFlags}} [flags]{{end}}{{if .ArgsUsage}} {{.ArgsUsage}}{{end}}

{{.Description}}
{{if .VisibleFlags}}
Flags:
{{range .VisibleFlags}}
  {{.}}{{end}}
{{end}}`

// groupHelp is commandHelp for a command that has commands of its own.
const groupHelp = `csdb {{.Name}} - {{.Usage}}

usage: csdb [flags] {{.Name}} command [flags] [arguments]

{{.Description}}

Commands:
{{range .VisibleCommands}}
  {{printf "%-12s" .Name}}{{.Usage}}{{end}}
`
