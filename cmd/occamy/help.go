package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const connectionHelp = `Each of these may stand in the environment: --tls-ca is OCCAMY_BROKER_TLS_CA, and
--broker is OCCAMY_BROKER. A password or a token is in OCCAMY_BROKER_PASSWORD,
OCCAMY_BROKER_TOKEN or a file; one in the address is best left to OCCAMY_BROKER,
since all who use the machine see what flags say.
`

// usageText prints how a verb is used. The flags of the connection stand apart
// from its own.
func usageText(cmd *cobra.Command) error {
	var b strings.Builder
	section := func(title, text string) {
		if text != "" {
			fmt.Fprintf(&b, "\n%s:\n%s", title, text)
		}
	}
	line := cmd.UseLine()
	if !cmd.Runnable() || cmd.HasAvailableSubCommands() {
		line = cmd.CommandPath() + " VERB"
	}
	fmt.Fprintf(&b, "Usage:\n  %s\n", line)
	section("Examples", cmd.Example+strings.Repeat("\n", min(len(cmd.Example), 1)))
	var verbs strings.Builder
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			fmt.Fprintf(&verbs, "  %-*s %s\n", sub.NamePadding(), sub.Name(), sub.Short)
		}
	}
	section("Verbs", verbs.String())
	own, connection := pflag.NewFlagSet("", pflag.ContinueOnError), pflag.NewFlagSet("", pflag.ContinueOnError)
	connection.SortFlags = false
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if _, ok := f.Annotations[connectionFlag]; ok {
			connection.AddFlag(f)
		} else {
			own.AddFlag(f)
		}
	})
	section("Flags", own.FlagUsages())
	if connection.HasFlags() {
		section("Connection", connection.FlagUsages()+"\n"+connectionHelp)
	}
	section("Flags of all verbs", cmd.InheritedFlags().FlagUsages())
	_, err := fmt.Fprint(cmd.OutOrStderr(), b.String())
	return err
}
