<#
.SYNOPSIS
Runs several of these scripts one after another, in one session.
.DESCRIPTION
Over WinRM every session costs seven requests and some 400 KiB; what belongs together goes in one. The first step that
throws ends the run with its text. See README.md for the JSON.
.PARAMETER Request
JSON object: steps, each with name, script (the text of a script) and request (the JSON text for it).
.EXAMPLE
powershell.exe -File Invoke-NodeScript.ps1 -Request (Get-Content -Raw -Path C:\k\steps.json) -WhatIf
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param([Parameter(Mandatory = $true)][string]$Request)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

function Read-Request {
    param([string]$Text, [string[]]$Fields)
    try { $parsed = ConvertFrom-Json -InputObject $Text }
    catch { throw "WN0001 the request is no JSON: $($_.Exception.Message)" }
    foreach ($field in $Fields) {
        if ($null -eq $parsed.PSObject.Properties[$field]) { throw "WN0001 the request lacks the field $field" }
    }
    return $parsed
}

$wanted = Read-Request -Text $Request -Fields @('steps')
$results = @()
foreach ($step in @($wanted.steps)) {
    $script = [scriptblock]::Create($step.script)
    # Each script looks first and asks ShouldProcess itself; -WhatIf goes on to it.
    $output = @(& $script -Request $step.request -WhatIf:$WhatIfPreference)
    $answer = ConvertFrom-Json -InputObject $output[-1]
    $results += [ordered]@{ name = $step.name; changed = [bool]$answer.changed; answer = $answer }
}
$answer = [ordered]@{
    changed = @($results | Where-Object { $_.changed }).Count -gt 0
    steps = $results
}
ConvertTo-Json -InputObject $answer -Compress -Depth 8
