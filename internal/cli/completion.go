package cli

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help shows how it is typed.
func (completionCmd) Help() string {
	return examples(
		"source <(directorybolt completion bash)",
		"directorybolt completion zsh > \"${fpath[1]}/_directorybolt\"",
		"directorybolt completion fish > ~/.config/fish/completions/directorybolt.fish",
	)
}

// Run prints the script. The scripts ask the binary, so that they never go stale.
func (c completionCmd) Run(a *app) error { return a.printf("%s", completionScripts[c.Shell]) }

var completionScripts = map[string]string{
	"bash": `# bash completion for directorybolt
_directorybolt() {
    local cur=${COMP_WORDS[COMP_CWORD]} answer
    answer=$("${COMP_WORDS[0]}" __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null) || return
    if [[ $answer == :file ]]; then
        compopt -o default 2>/dev/null
        COMPREPLY=()
        return
    fi
    COMPREPLY=($(compgen -W "$answer" -- "$cur"))
}
complete -F _directorybolt directorybolt
`,
	"zsh": `#compdef directorybolt
# zsh completion for directorybolt
_directorybolt() {
    local -a answer
    answer=(${(f)"$("${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    if [[ $answer[1] == :file ]]; then
        _files
    else
        compadd -a answer
    fi
}
if [[ $funcstack[1] == _directorybolt ]]; then
    _directorybolt "$@"
else
    compdef _directorybolt directorybolt
fi
`,
	"fish": `# fish completion for directorybolt
function __directorybolt_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l answer ($words[1] __complete -- $words[2..-1] 2>/dev/null)
    if test "$answer[1]" = :file
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $answer
    end
end
complete -c directorybolt -f -a '(__directorybolt_complete)'
`,
}

type completeCmd struct {
	Words []string `arg:"" optional:"" passthrough:""`
}

// Run prints the candidates for the last word, one a line.
func (c completeCmd) Run(a *app) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	for _, candidate := range candidates(a.model.Node, words) {
		if err := a.printf("%s\n", candidate); err != nil {
			return err
		}
	}
	return nil
}

// completeFiles is the answer when a file name is wanted.
const completeFiles = ":file"

// candidates lists what the last of words may become, given those before it.
func candidates(node *kong.Node, words []string) []string {
	last := ""
	if n := len(words); n > 0 {
		words, last = words[:n-1], words[n-1]
	}
	var open *kong.Flag // waits for its value
	used := map[string]bool{}
	for _, w := range words {
		switch {
		case open != nil:
			open = nil
		case strings.HasPrefix(w, "-"):
			open = opened(node, w)
			used[w] = true
		default:
			if child := childOf(node, w); child != nil {
				node = child
			}
		}
	}
	switch {
	case open != nil:
		return startingWith(last, valuesOf(open.Value))
	case strings.HasPrefix(last, "-"):
		return startingWith(last, flagsOf(node, used))
	}
	return startingWith(last, append(childrenOf(node), argumentsOf(node)...))
}

// opened is the flag that w names and that waits for the next word as its value.
func opened(node *kong.Node, w string) *kong.Flag {
	for _, group := range node.AllFlags(false) {
		for _, f := range group {
			if ("--"+f.Name == w || f.Short != 0 && "-"+string(f.Short) == w) && !f.IsBool() {
				return f
			}
		}
	}
	return nil
}

func childOf(node *kong.Node, name string) *kong.Node {
	i := slices.IndexFunc(node.Children, func(c *kong.Node) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return node.Children[i]
}

func childrenOf(node *kong.Node) []string {
	var names []string
	for _, c := range node.Children {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return names
}

func argumentsOf(node *kong.Node) []string {
	if len(node.Positional) == 0 {
		return nil
	}
	return valuesOf(node.Positional[0])
}

func flagsOf(node *kong.Node, used map[string]bool) []string {
	var names []string
	for _, group := range node.AllFlags(true) {
		for _, f := range group {
			if name := "--" + f.Name; !used[name] {
				names = append(names, name)
			}
		}
	}
	return names
}

// valuesOf lists what a flag or argument may be.
func valuesOf(v *kong.Value) []string {
	switch {
	case v.Enum != "":
		return slices.DeleteFunc(strings.Split(v.Enum, ","), func(s string) bool { return s == "" })
	case v.Tag.Type == "path" || v.Tag.Type == "existingfile":
		return []string{completeFiles}
	}
	return nil
}

func startingWith(prefix string, all []string) []string {
	return slices.DeleteFunc(all, func(s string) bool { return s != completeFiles && !strings.HasPrefix(s, prefix) })
}
