<#
.SYNOPSIS
Pulls images that a node should have before it takes pods.
.DESCRIPTION
Asks containerd or Docker for its images and pulls those that are missing. See README.md for the JSON.
.PARAMETER Request
JSON object: runtime, program, pull, environment, images.
.EXAMPLE
powershell.exe -File Set-NodeImage.ps1 -Request (Get-Content -Raw -Path C:\k\images.json)
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param([Parameter(Mandatory = $true)][string]$Request)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

function Invoke-Program {
    param([string]$Program, [string[]]$Arguments)
    # Windows PowerShell makes an error of each line on stderr; Stop would throw the first warning.
    $ErrorActionPreference = 'Continue'
    & $Program $Arguments 2>&1 | ForEach-Object { "$_" }
}

function Get-MissingByCtr {
    param([string]$Program, [string[]]$Images)
    $present = @(Invoke-Program -Program $Program -Arguments @('--namespace', 'k8s.io', 'images', 'list', '--quiet'))
    if ($LASTEXITCODE -ne 0) { throw "WN0801 ctr images list ended with ${LASTEXITCODE}: $($present -join ' ')" }
    return @($Images | Where-Object { $present -notcontains $_ })
}

function Get-MissingByDocker {
    param([string]$Program, [string[]]$Images)
    # Docker shortens names in its lists; only it knows whether it has one.
    $shown = @(Invoke-Program -Program $Program -Arguments @('version'))
    if ($LASTEXITCODE -ne 0) { throw "WN0801 docker version ended with ${LASTEXITCODE}: $($shown -join ' ')" }
    foreach ($image in $Images) {
        Invoke-Program -Program $Program -Arguments @('image', 'inspect', $image) | Out-Null
        if ($LASTEXITCODE -ne 0) { $image }
    }
}

function Read-Request {
    param([string]$Text, [string[]]$Fields)
    try { $parsed = ConvertFrom-Json -InputObject $Text }
    catch { throw "WN0001 the request is no JSON: $($_.Exception.Message)" }
    foreach ($field in $Fields) {
        if ($null -eq $parsed.PSObject.Properties[$field]) { throw "WN0001 the request lacks the field $field" }
    }
    return $parsed
}

$wanted = Read-Request -Text $Request -Fields @('runtime', 'program', 'pull', 'environment', 'images')
foreach ($variable in @($wanted.environment.PSObject.Properties)) {
    [System.Environment]::SetEnvironmentVariable($variable.Name, $variable.Value)
}
$list = @{ Program = $wanted.program; Images = @($wanted.images) }
if ($wanted.runtime -eq 'docker') { $missing = @(Get-MissingByDocker @list) }
else { $missing = @(Get-MissingByCtr @list) }
foreach ($image in $missing) {
    if (-not $PSCmdlet.ShouldProcess($image, 'pull')) { continue }
    $shown = @(Invoke-Program -Program $wanted.program -Arguments (@($wanted.pull) + $image))
    if ($LASTEXITCODE -ne 0) { throw "WN0801 $image cannot be pulled: $($shown | Select-Object -Last 1)" }
}
$answer = [ordered]@{
    changed = $missing.Count -gt 0
    images = $missing
}
ConvertTo-Json -InputObject $answer -Compress -Depth 5
