<#
.SYNOPSIS
Brings the host's own settings into the state that a Kubernetes node needs.
.DESCRIPTION
Checks the Windows build; sets the dynamic port range, the power plan, Defender's exclusions for the container
runtime's folders, firewall rules for what comes in, and lines in the hosts file for clusters whose API server no DNS
knows. See README.md for the JSON.
.PARAMETER Request
JSON object: expectedBuild, dynamicPorts, powerPlan, defenderExclusions, firewall, hosts.
.EXAMPLE
powershell.exe -File Initialize-NodeHost.ps1 -Request (Get-Content -Raw -Path C:\k\host.json)
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param([Parameter(Mandatory = $true)][string]$Request)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$HostsFile = 'C:\Windows\System32\drivers\etc\hosts'
$Mark = '# bootstrap'

function Set-DynamicPort {
    param($Ports)
    $shown = & netsh.exe @('int', 'ipv4', 'show', 'dynamicport', 'tcp')
    if ($LASTEXITCODE -ne 0) { throw "WN0102 netsh ended with $LASTEXITCODE" }
    $numbers = @([regex]::Matches(($shown -join ' '), '\d+') | ForEach-Object { [int]$_.Value })
    $same = $numbers.Count -ge 2 -and $numbers[-2] -eq $Ports.start -and $numbers[-1] -eq $Ports.count
    if ($same) { return $false }
    if ($PSCmdlet.ShouldProcess('dynamic ports', "set to $($Ports.start)+$($Ports.count)")) {
        $range = @("start=$($Ports.start)", "num=$($Ports.count)")
        & netsh.exe (@('int', 'ipv4', 'set', 'dynamicport', 'tcp') + $range) | Out-Null
        if ($LASTEXITCODE -ne 0) { throw "WN0102 netsh ended with $LASTEXITCODE" }
    }
    return $true
}

function Set-PowerPlan {
    param([string]$Guid)
    if (-not $Guid) { return $false }
    $active = & powercfg.exe @('/getactivescheme')
    if (($active -join ' ') -like "*$Guid*") { return $false }
    if ($PSCmdlet.ShouldProcess('power plan', "set to $Guid")) {
        & powercfg.exe @('/setactive', $Guid) | Out-Null
        if ($LASTEXITCODE -ne 0) { throw "WN0102 powercfg ended with $LASTEXITCODE" }
    }
    return $true
}

function Add-DefenderExclusion {
    param([string[]]$Paths)
    if (-not (Get-Command -Name 'Get-MpPreference' -ErrorAction SilentlyContinue)) { return $false }
    $present = @((Get-MpPreference).ExclusionPath)
    $missing = @($Paths | Where-Object { $present -notcontains $_ })
    if ($missing.Count -eq 0) { return $false }
    if ($PSCmdlet.ShouldProcess('Defender', "exclude $($missing -join ', ')")) {
        Add-MpPreference -ExclusionPath $missing
    }
    return $true
}

function Set-FirewallRule {
    param($Rules)
    $changed = $false
    foreach ($rule in $Rules) {
        # The firewall spells addresses its own way (10.0.0.0/255.255.0.0); the text in the description is ours.
        $text = "$($rule.protocol) $($rule.port) from $(@($rule.remote) -join ', ')"
        $present = Get-NetFirewallRule -Name $rule.name -ErrorAction SilentlyContinue
        if ($null -ne $present -and $present.Description -eq $text -and "$($present.Enabled)" -eq 'True') { continue }
        $changed = $true
        if (-not $PSCmdlet.ShouldProcess($rule.name, "allow $text")) { continue }
        if ($null -ne $present) { Remove-NetFirewallRule -Name $rule.name }
        $shown = @{ Name = $rule.name; DisplayName = $rule.name; Description = $text; Profile = 'Any' }
        $from = @{ Protocol = $rule.protocol; LocalPort = $rule.port; RemoteAddress = @($rule.remote) }
        New-NetFirewallRule @shown @from -Direction Inbound -Action Allow | Out-Null
    }
    return $changed
}

function Set-HostsEntry {
    param($Entries)
    $lines = @()
    if (Test-Path -Path $HostsFile) { $lines = @(Get-Content -Path $HostsFile) }
    $foreign = @($lines | Where-Object { $_ -notlike "*$Mark" })
    $wanted = $foreign + @($Entries | ForEach-Object { "$($_.address) $($_.name) $Mark" })
    if (($lines -join "`n") -eq ($wanted -join "`n")) { return $false }
    if ($PSCmdlet.ShouldProcess($HostsFile, 'write')) {
        Set-Content -Path $HostsFile -Value $wanted -Encoding Ascii
    }
    return $true
}

function Test-RebootPending {
    $keys = @(
        'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending',
        'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired'
    )
    return @($keys | Where-Object { Test-Path -Path $_ }).Count -gt 0
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

$fields = @('expectedBuild', 'dynamicPorts', 'powerPlan', 'defenderExclusions', 'firewall', 'hosts')
$wanted = Read-Request -Text $Request -Fields $fields
$version = Get-ItemProperty -Path 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion'
$build = [int]$version.CurrentBuildNumber
if ($wanted.expectedBuild -and $build -ne $wanted.expectedBuild) {
    throw "WN0101 this host runs Windows build $build, expected is $($wanted.expectedBuild)"
}
$results = @(
    (Set-DynamicPort -Ports $wanted.dynamicPorts),
    (Set-PowerPlan -Guid $wanted.powerPlan),
    (Add-DefenderExclusion -Paths @($wanted.defenderExclusions)),
    (Set-FirewallRule -Rules @($wanted.firewall)),
    (Set-HostsEntry -Entries @($wanted.hosts))
)
$answer = [ordered]@{
    changed = @($results | Where-Object { $_ }).Count -gt 0
    build = $build
    revision = [int]$version.UBR
    rebootPending = Test-RebootPending
}
ConvertTo-Json -InputObject $answer -Compress -Depth 5
