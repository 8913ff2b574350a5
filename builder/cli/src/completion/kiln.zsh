#compdef kiln
# Completions of kiln for zsh: in a folder of $fpath under the name _kiln, or source <(kiln completions zsh)

_kiln() {
  local line files tab=$'\t'
  local -a names shown unfinished
  while IFS= read -r line; do
    if [[ $line = :* ]]; then
      files=$line
    elif [[ $line = *= ]]; then
      unfinished+=("$line")
    else
      names+=("${line%%$tab*}")
      shown+=("${line/$tab/  -- }")
    fi
  done < <(command kiln __complete -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)
  (( $#names )) && compadd -l -d shown -- "${names[@]}"
  (( $#unfinished )) && compadd -S '' -- "${unfinished[@]}"
  [[ $PREFIX = --*=* ]] && compset -P '*='
  case $files in
    :files) _files ;;
    :folders) _files -/ ;;
  esac
}

if [[ $funcstack[1] = _kiln ]]; then
  _kiln "$@"
else
  compdef _kiln kiln
fi
