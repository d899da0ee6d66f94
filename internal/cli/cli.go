package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// Process is what a command line gets from its surroundings.
type Process struct {
	Args    []string // without the program's name
	Environ []string // "KEY=value", as os.Environ
	Stdout  io.Writer
	Stderr  io.Writer
	Stdin   io.Reader // what is typed; nil: nothing is
}

// Main runs the command line and returns the exit status. Ending ctx asks running
// commands to drain; its cause should be [Interrupted].
func Main(ctx context.Context, p Process) int {
	a := newApp(p)
	err := a.run(ctx, p.Args)
	a.complain(err)
	return statusOf(err)
}

// commands is the table of commands, in the order of the help.
type commands struct {
	globals
	ShowVersion kong.VersionFlag `name:"version" help:"Say which build this is."`

	All          allCmd          `cmd:"" group:"run" help:"Run everything in one process: worker, monitors, retention, HTTP."`
	API          apiCmd          `cmd:"" name:"api" group:"run" help:"Serve the HTTP API alone."`
	Work         workCmd         `cmd:"" group:"run" help:"Run a worker that performs jobs."`
	StaleMonitor staleMonitorCmd `cmd:"" group:"run" help:"Run the stale monitor alone: it gives back the jobs of dead workers."`
	DlqMonitor   dlqMonitorCmd   `cmd:"" group:"run" help:"Run the dead letter monitor alone: it watches what failed for good."`
	Demo         demoCmd         `cmd:"" group:"run" help:"Watch an example order go through the sandbox's directories, then end."`
	Sandbox      sandboxCmd      `cmd:"" group:"run" help:"Run the small web of directories that tests and the demo submit to."`

	Submit      submitCmd      `cmd:"" group:"order" help:"Place an order: submit a business to the directories of a package."`
	Jobs        jobsCmd        `cmd:"" group:"order" help:"Look at jobs and act on them."`
	Customers   customersCmd   `cmd:"" group:"order" help:"Look at a customer, and delete one."`
	Directories directoriesCmd `cmd:"" group:"order" help:"Look at the catalog of directories and check it."`

	Doctor     doctorCmd     `cmd:"" group:"operate" help:"Before a deploy: look at settings, database, queues, channels, disk."`
	Verify     verifyCmd     `cmd:"" group:"operate" help:"After a deploy: prove that the running system works, line by line."`
	Health     healthCmd     `cmd:"" group:"operate" help:"Say how the installation is, and what is wrong."`
	Why        whyCmd        `cmd:"" group:"operate" help:"Say why a job is not running, or why it ran more than once."`
	Dlq        dlqCmd        `cmd:"" group:"operate" help:"Look at dead letters and decide about them."`
	Alerts     alertsCmd     `cmd:"" group:"operate" help:"Look at alerts, take them on, and test the channels."`
	Stale      staleCmd      `cmd:"" group:"operate" help:"Look at stuck jobs and take them back."`
	Audit      auditCmd      `cmd:"" group:"operate" help:"Prove that everything that was paid for is accounted for."`
	Report     reportCmd     `cmd:"" group:"operate" help:"Tell how a day, a week or a month went."`
	Keys       keysCmd       `cmd:"" group:"operate" help:"Make, list and revoke API keys."`
	Queue      queueCmd      `cmd:"" group:"operate" help:"Make and check the queues in SQS."`
	Drill      drillCmd      `cmd:"" group:"operate" help:"Break something on purpose and look whether the promises hold."`
	Migrate    migrateCmd    `cmd:"" group:"operate" help:"Bring the database's schema up to this binary."`
	Config     configCmd     `cmd:"" group:"operate" help:"Show or check the settings."`
	Version    versionCmd    `cmd:"" group:"operate" help:"Say which build this is."`
	Completion completionCmd `cmd:"" group:"operate" help:"Print a completion script for a shell."`
	Man        manCmd        `cmd:"" hidden:"" help:"Print the manual page."`
	DrillWork  drillWorkCmd  `cmd:"" name:"__drill-work" hidden:"" help:"Be the worker of a drill: perform canaries alone."`
	Complete   completeCmd   `cmd:"" name:"__complete" hidden:"" help:"Answer the completion scripts."`
}

// globals are the flags of every command. A flag with a setting tag overrides the
// setting of that name.
type globals struct {
	DataDir     string  `group:"global" setting:"DATA_DIR" placeholder:"DIR" type:"path" help:"Directory of the SQLite file, the evidence and the lock."`
	DatabaseURL string  `group:"global" setting:"DATABASE_URL" placeholder:"URL" help:"Postgres to use instead of SQLite."`
	LogLevel    *string `group:"global" setting:"LOG_LEVEL" placeholder:"LEVEL" enum:"debug,info,warn,error" help:"How much to log: debug, info, warn or error."`
	Config      string  `group:"global" name:"config" placeholder:"FILE" type:"path" help:"File of settings, NAME=value a line."`
	JSON        bool    `group:"global" name:"json" help:"Print data as JSON, one object a line."`
	Quiet       bool    `group:"global" short:"q" help:"Print data and errors only."`
	NoColor     bool    `group:"global" help:"Print without colour. NO_COLOR does the same."`
}

var groups = []kong.Group{
	{Key: "run", Title: "Run:"},
	{Key: "order", Title: "Orders:"},
	{Key: "operate", Title: "Operate:"},
	{Key: "global", Title: "Global flags:"},
}

const description = `DirectoryBolt submits a business to web directories, each of them once, and reports what happened.`

// run parses the command line and runs the command it names.
func (a *app) run(ctx context.Context, args []string) error {
	var c commands
	helped := false
	parser, err := kong.New(&c,
		kong.Name("directorybolt"),
		kong.Description(description),
		kong.Writers(a.stdout, a.stderr),
		kong.Vars{"version": thisBuild().String()},
		kong.Exit(func(int) { helped = true }),
		kong.ExplicitGroups(groups),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		parser.Stdout = a.stderr
		_, _ = parser.Parse([]string{"--help"})
		return exitWith(ExitUsage)
	}
	selected, err := parser.Parse(args)
	if helped { // what follows --help does not matter
		return nil
	}
	if err != nil {
		return usage(err, "see: "+helpFor(err))
	}
	a.globals, a.model, a.flags = c.globals, parser.Model, settingFlags(selected)
	selected.BindTo(ctx, (*context.Context)(nil))
	return ended(ctx, selected.Run(a))
}

// ended tells an interruption from other errors: what fails because a signal
// ended ctx has not failed.
func ended(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errInterrupted) && errors.Is(err, context.Canceled) {
		return exitWith(ExitInterrupted)
	}
	return err
}

// helpFor names the help of the command that the error is about.
func helpFor(err error) string {
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		if cmd := parse.Context.Selected(); cmd != nil {
			return cmd.FullPath() + " --help"
		}
	}
	return "directorybolt --help"
}

// settingFlags collects the settings that were given as flags.
func settingFlags(selected *kong.Context) map[string]string {
	given := map[string]string{}
	for _, step := range selected.Path {
		if step.Flag != nil && step.Flag.Tag.Has("setting") {
			given[step.Flag.Tag.Get("setting")] = fmt.Sprint(reflect.Indirect(reflect.ValueOf(selected.FlagValue(step.Flag))))
		}
	}
	return given
}

// examples is the end of a command's help: how it is typed.
func examples(lines ...string) string {
	return "Example:\n\n    " + strings.Join(lines, "\n    ")
}
